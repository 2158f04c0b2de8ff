"""Backend documents: fields, checks that types cannot make, and the way to ``model.Backend``."""

import re
from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import Annotated, Any, Literal

import msgspec

from sidecar.config.faults import decode
from sidecar.config.prices import PriceDocument, Prices, compile_prices
from sidecar.errors import ConfigError, Fault
from sidecar.model import CONTROL_FIELDS, Backend, Ejection, Endpoint, Health

_LEGAL_URL = "http://host[:port][/path], https://host[:port][/path]"
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}))"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!$%&'()*+,./0-9:;=@A-Z_a-z~-]*)?\Z"
)
_CREDENTIAL = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*\Z|file:/[^\0]+\Z")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}\Z")
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,256}\Z")
_PATH = re.compile(r"/[\x21-\x7e]{0,1023}\Z")

Seconds = Annotated[float, msgspec.Meta(ge=0.001, le=3600)]
Weight = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class EndpointDocument(_Document, frozen=True):
    """``weight`` is a share among the endpoints of one backend."""

    url: str
    weight: Weight = 1
    zone: str | None = None


class LimitsDocument(_Document, frozen=True):
    """``max_context_size`` in tokens."""

    max_context_size: Annotated[int, msgspec.Meta(ge=1)] | None = None


class HealthDocument(_Document, frozen=True):
    """Active health check."""

    path: str
    interval_seconds: Seconds = 10.0


class EjectionDocument(_Document, frozen=True):
    """When a backend that fails is taken out, and for how long."""

    consecutive_failures: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 5
    error_rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    min_requests: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 20
    base_seconds: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 10.0
    max_seconds: Annotated[float, msgspec.Meta(ge=1, le=86400)] = 300.0


class BackendDocument(_Document, frozen=True):
    """``model`` defaults to the document's name, ``provider`` to ``default``."""

    endpoints: Annotated[tuple[str | EndpointDocument, ...], msgspec.Meta(min_length=1)]
    model: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    provider: Annotated[str, msgspec.Meta(min_length=1)] = "default"
    type: Literal["openai", "ollama", "vllm", "mlx", "auto"] = "openai"
    enabled: bool = True
    priority: int = 100
    defaults: dict[str, Any] = {}
    timeout_seconds: Seconds = 60.0
    price: PriceDocument = PriceDocument()
    limits: LimitsDocument = LimitsDocument()
    capabilities: frozenset[str] | None = None
    region: str | None = None
    credential: str | None = None
    credential_header: str = "authorization"
    health: HealthDocument | None = None
    ejection: EjectionDocument | bool = EjectionDocument()
    description: str = ""
    tags: dict[str, str] = {}


def compile_backend(name: str, text: bytes) -> Backend:
    """Build a backend from its document; raises ConfigError with all its faults."""
    path = f"backends.{name}"
    document = decode(text, BackendDocument, path)
    faults = [*_check_endpoints(document, path), *_check_fields(document, path)]
    prices = compile_prices(document.price, f"{path}.price", faults)
    if faults:
        raise ConfigError(faults)
    return _backend(name, document, prices)


def stand_in(name: str, text: bytes) -> Backend:
    """Return what a wrong document would have been called, so that references to it resolve.

    One fault in a backend must not hide behind an "unknown target" in each route that uses it.
    """
    try:
        loose = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        loose = None
    fields = loose if isinstance(loose, dict) else {}
    model, provider = fields.get("model"), fields.get("provider")
    return Backend(
        name,
        model=model if isinstance(model, str) else name,
        provider=provider if isinstance(provider, str) else "default",
    )


def _backend(name: str, document: BackendDocument, prices: Prices) -> Backend:
    health = document.health
    return Backend(
        name,
        model=document.model or name,
        provider=document.provider,
        type=document.type,
        endpoints=tuple(map(_endpoint, document.endpoints)),
        enabled=document.enabled,
        priority=document.priority,
        defaults=document.defaults,
        timeout_seconds=document.timeout_seconds,
        price=prices.price,
        price_periods=prices.periods,
        max_context_size=document.limits.max_context_size,
        capabilities=document.capabilities,
        region=document.region,
        credential=document.credential,
        credential_header=document.credential_header.lower(),
        health=Health(health.path, health.interval_seconds) if health else None,
        ejection=_ejection(document.ejection),
        description=document.description,
        tags=document.tags,
    )


def _ejection(given: EjectionDocument | bool) -> Ejection | None:
    return None if isinstance(given, bool) else Ejection(*msgspec.structs.astuple(given))


def _endpoint(given: str | EndpointDocument) -> Endpoint:
    if isinstance(given, str):
        return Endpoint(given)
    return Endpoint(given.url, given.weight, given.zone)


def _check_endpoints(document: BackendDocument, path: str) -> Iterator[Fault]:
    """All endpoints share one cluster, hence one TLS setting and one path prefix."""
    first = None
    for place, given in enumerate(document.endpoints):
        where = f"{path}.endpoints[{place}]" + ("" if isinstance(given, str) else ".url")
        url = given if isinstance(given, str) else given.url
        prefix = _prefix(url)
        first = first or prefix
        if prefix is None:
            yield from check_url(url, where)
        elif prefix != first and first is not None:
            yield Fault(
                where,
                "all endpoints of a backend must have the scheme and path of the first, "
                f"here {first[0]}://…{first[1]}",
            )


def check_url(url: str, path: str) -> Iterator[Fault]:
    """Yield what is wrong with an address, without the secrets that it may carry."""
    if _prefix(url) is None:
        yield Fault(path, f"{_mask(url)} {_why_not(url)}")


def check_credential(credential: str | None, header: str, path: str) -> Iterator[Fault]:
    """Yield what is wrong with a credential's reference and the name of its header."""
    # The value is not repeated: whoever put the key itself here must not find it in the log.
    if credential is not None and not _CREDENTIAL.match(credential):
        yield Fault(
            f"{path}.credential",
            "must be a reference, never the key itself; legal: env:NAME, file:/absolute/path",
        )
    if not _HEADER.match(header):
        yield Fault(f"{path}.credential_header", f'"{header}" is not a header name')


def _prefix(url: str) -> tuple[str, str] | None:
    """Return scheme and path of a legal address, else ``None``."""
    parts = _URL.match(url)
    if parts is None or not 1 <= int(parts["port"] or 1) <= 65535:
        return None
    if parts["host"].startswith("[") and not _is_ipv6(parts["host"][1:-1]):
        return None
    return parts["scheme"], (parts["path"] or "").rstrip("/")


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _mask(url: str) -> str:
    """Quote an address without what people hide keys in: user, password, query."""
    scheme, slashes, rest = url.partition("://")
    place, mark, _ = rest.partition("?")
    _, at, host = place.rpartition("@")
    return f'"{scheme}{slashes}{"…@" if at else ""}{host}{"?…" if mark else ""}"'


def _why_not(url: str) -> str:
    authority, _, _ = url.partition("://")[2].partition("/")
    port = re.search(r":([0-9]+)$", authority)
    if "@" in authority:
        return 'must not carry a user or a password: use "credential"'
    if "?" in url or "#" in url:
        return f"must have no query and no fragment; legal: {_LEGAL_URL}"
    if port is not None and not 1 <= int(port[1][:9]) <= 65535:
        return "has a port that is not 1 to 65535"
    return f"is not an address; legal: {_LEGAL_URL}"


def _check_fields(document: BackendDocument, path: str) -> Iterator[Fault]:
    yield from check_credential(document.credential, document.credential_header, path)
    if document.health is not None and not _PATH.match(document.health.path):
        yield Fault(
            f"{path}.health.path", "must start with / and have only visible ASCII characters"
        )
    yield from _check_ejection(document.ejection, f"{path}.ejection")
    yield from _check_lines(document, path)
    for field in ("model", "messages", "stream", *CONTROL_FIELDS):
        if field in document.defaults:
            yield Fault(
                f"{path}.defaults.{field}", "is no parameter of a model and cannot be a default"
            )


def _check_ejection(given: EjectionDocument | bool, path: str) -> Iterator[Fault]:
    if given is True:
        yield Fault(path, "must be an object, or false to switch it off; it is on without a word")
    elif given and given.max_seconds < given.base_seconds:
        yield Fault(
            f"{path}.max_seconds", f"must not be less than base_seconds ({given.base_seconds:g})"
        )


def _check_lines(document: BackendDocument, path: str) -> Iterator[Fault]:
    """Check what becomes part of a header: one value that Envoy refuses costs all clusters."""
    lines: dict[str, str | None] = {"model": document.model, "provider": document.provider}
    for place, given in enumerate(document.endpoints):
        if isinstance(given, EndpointDocument):
            lines[f"endpoints[{place}].zone"] = given.zone
    for field, text in lines.items():
        if text is not None and not _LINE.match(text):
            yield Fault(f"{path}.{field}", "must be 1 to 256 characters, none a control character")
