"""Test documents: a request, what the world is like, and what should be decided."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import msgspec

from sidecar import errors
from sidecar.config.documents import check_name
from sidecar.config.faults import decode, nearest
from sidecar.errors import ConfigError, Fault, RequestError
from sidecar.model import OPERATIONS, BackendStats, Stats, Window, WindowStats

DEFAULT_TIME = datetime(2026, 1, 5, 12, tzinfo=UTC)
"""A Monday, at noon: when a test is that does not say."""

VARIED = {
    "user.id": "x-user-id",
    "user.tenant": "x-tenant-id",
    "user.tier": "x-user-tier",
    "session": "x-session-id",
    "region": "x-region",
    "api_key": "authorization",
}
"""Subject that ``vary`` may name → the header that is varied for it."""

CODES = sorted(
    error.code
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, RequestError) and error is not RequestError
)

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class RequestDocument(_Document, frozen=True):
    """A client's request; ``headers`` in any case."""

    path: str = "/v1/chat/completions"
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}


class ExpectDocument(_Document, frozen=True):
    """``parameters`` are looked for in the body that the first attempt sends."""

    route: str | None = None
    strategy: str | None = None
    backend: str | None = None
    backends: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] | None = None
    parameters: dict[str, Any] | None = None
    code: str | None = None
    share: dict[str, Percent] | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What is expected at all."""
        pairs = ((field, getattr(self, field)) for field in self.__struct_fields__)
        return {field: value for field, value in pairs if value is not None}


class RuleTestDocument(_Document, frozen=True):
    """``guards`` is what guards answer; ``samples``, ``tolerance`` and ``vary`` are for shares."""

    request: RequestDocument
    expect: ExpectDocument
    stats: dict[str, msgspec.Raw] = {}
    unready: frozenset[str] = frozenset()
    guards: dict[str, dict[str, Any]] = {}
    at: Time = DEFAULT_TIME
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    vary: str | None = None
    samples: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 2000
    tolerance: Percent = 3.0
    description: str = ""


class WindowDocument(WindowStats, frozen=True, forbid_unknown_fields=True):
    """The same fields, and no others."""


class StatsDocument(_Document, frozen=True, rename={"m1": "1m", "m15": "15m", "h1": "1h"}):
    """What a backend did: its windows, and requests that are not answered yet."""

    m1: WindowDocument | None = None
    m15: WindowDocument | None = None
    h1: WindowDocument | None = None
    total: WindowDocument | None = None
    in_flight: Annotated[int, msgspec.Meta(ge=0)] = 0


class Expectation(NamedTuple):
    """A test, decoded, with the statistics that it states."""

    document: RuleTestDocument
    stats: Stats


def check_test(name: str, text: bytes) -> Iterator[Fault]:
    """Yield what is wrong with a test whatever the other documents are."""
    yield from check_name("tests", name)
    try:
        decode_test(name, text)
    except ConfigError as error:
        yield from error.faults


def decode_test(name: str, text: bytes) -> Expectation:
    """Decode a test; raises ConfigError."""
    path = f"tests.{name}"
    document = decode(text, RuleTestDocument, path)
    faults = [*_check_request(document, path), *_check_expect(document.expect, f"{path}.expect")]
    stats = _stats(document.stats, f"{path}.stats", faults)
    if faults:
        raise ConfigError(faults)
    return Expectation(document, Stats(stats, document.unready))


def _check_request(document: RuleTestDocument, path: str) -> Iterator[Fault]:
    asked, vary = document.request.path, document.vary
    if asked.partition("?")[0] not in OPERATIONS:
        legal = nearest(asked, [*OPERATIONS])
        yield Fault(f"{path}.request.path", f'"{asked}" is not decided here; {legal}')
    if vary is None:
        return
    if document.expect.share is None:
        yield Fault(f"{path}.vary", "is only for expect.share")
    family, _, rest = vary.partition(".")
    if vary not in VARIED and not (family in {"headers", "body"} and rest):
        legal = nearest(vary, [*VARIED, "headers.<name>", "body.<name>"])
        yield Fault(f"{path}.vary", f'"{vary}" cannot be varied; {legal}')


def _check_expect(expect: ExpectDocument, path: str) -> Iterator[Fault]:
    given = expect.given
    if not given:
        yield Fault(path, f"says nothing; legal: {', '.join(expect.__struct_fields__)}")
    for alone in ("code", "share"):
        if alone in given and len(given) > 1:
            yield Fault(f"{path}.{alone}", "must stand alone")
    if expect.code is not None and expect.code not in CODES:
        yield Fault(f"{path}.code", f'unknown code "{expect.code}"; {nearest(expect.code, CODES)}')
    if expect.share is not None and not expect.share:
        yield Fault(f"{path}.share", "names no backend")


def _stats(
    raws: Mapping[str, msgspec.Raw], path: str, faults: list[Fault]
) -> dict[str, BackendStats]:
    stats = {}
    for backend, raw in raws.items():
        try:
            given = decode(bytes(raw), StatsDocument, f"{path}.{backend}")
        except ConfigError as error:
            faults.extend(error.faults)
            continue
        windows: dict[Window, WindowStats | None] = {
            "1m": given.m1,
            "15m": given.m15,
            "1h": given.h1,
            "total": given.total,
        }
        kept = {window: one for window, one in windows.items() if one is not None}
        stats[backend] = BackendStats(kept, given.in_flight)
    return stats
