"""Guard documents: HTTP services of the operator that say yes or no about a request."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import msgspec

from sidecar.config.backends import check_credential, check_url
from sidecar.config.documents import check_name
from sidecar.config.faults import decode
from sidecar.errors import ConfigError, Fault
from sidecar.model import Guard

Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=5000)]


class GuardDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``on_error`` is what counts when there is no answer within ``timeout_ms``, or a wrong one."""

    url: str
    timeout_ms: Milliseconds = 200
    on_error: Literal["pass", "fail"] = "fail"
    credential: str | None = None
    credential_header: str = "authorization"
    description: str = ""


def compile_guards(texts: Mapping[str, bytes], faults: list[Fault]) -> dict[str, Guard]:
    """Compile all guards; a wrong one has a stand-in, so that references to it still resolve."""
    return {name: _guard(name, text, faults) for name, text in texts.items()}


def _guard(name: str, text: bytes, faults: list[Fault]) -> Guard:
    path = f"guards.{name}"
    faults.extend(check_name("guards", name))
    try:
        document = decode(text, GuardDocument, path)
    except ConfigError as error:
        faults.extend(error.faults)
        return Guard(name, "")
    faults.extend(_check(document, path))
    return Guard(
        name,
        url=document.url,
        timeout_seconds=document.timeout_ms / 1000,
        on_error=document.on_error,
        credential=document.credential,
        credential_header=document.credential_header.lower(),
    )


def _check(document: GuardDocument, path: str) -> Iterator[Fault]:
    yield from check_url(document.url, f"{path}.url")
    yield from check_credential(document.credential, document.credential_header, path)
