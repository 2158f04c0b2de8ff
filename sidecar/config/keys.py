"""Key documents: who comes with which API key. A key is known by its hash alone."""

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

from sidecar.config.faults import decode
from sidecar.errors import ConfigError, Fault
from sidecar.model import OTHERS, KeyOwner

_NAME = re.compile(rf"[0-9a-f]{{16}}\Z|{re.escape(OTHERS)}\Z")
_SHOWN = 4

Text = Annotated[str, msgspec.Meta(min_length=1)]


class KeyDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is given holds whatever the request says; the rest is read from the request."""

    tenant: Text | None = None
    tier: Text | None = None
    user: Text | None = None
    tags: tuple[Text, ...] | None = None
    enabled: bool = True
    description: str = ""


def compile_keys(texts: Mapping[str, bytes], faults: list[Fault]) -> dict[str, KeyOwner]:
    """Compile all keys that are switched on; what is wrong goes to ``faults``."""
    owners = {}
    for name, text in texts.items():
        try:
            document = _decode(name, text)
        except ConfigError as error:
            faults.extend(error.faults)
        else:
            if document.enabled:
                owners[name] = KeyOwner(
                    document.user, document.tenant, document.tier, document.tags
                )
    return owners


def _decode(name: str, text: bytes) -> KeyDocument:
    if _NAME.match(name):
        return decode(text, KeyDocument, f"keys.{name}")
    # Who put the key itself here must not find all of it in logs and on status pages.
    shown = name if len(name) <= 2 * _SHOWN else f"{name[:_SHOWN]}…"
    raise ConfigError(
        [
            Fault(
                f"keys.{shown}",
                "a name must be the first 16 hex digits of the key's SHA-256, in lower case, "
                f'or {OTHERS} for all others: printf %s "$KEY" | sha256sum | cut -c1-16',
            )
        ]
    )
