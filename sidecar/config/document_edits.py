"""Edits of one document among all of them: pure, no store."""

from hashlib import blake2b
from typing import Any

import msgspec

from sidecar.config.differences import differences, value_of
from sidecar.config.documents import Documents, Kind, Texts
from sidecar.config.faults import decode_object, nearest
from sidecar.errors import ConfigError, Fault, StoreConflict, UnknownDocument

ANY = "*"
"""As an ETag: whatever is there, but something is."""
SWITCHED: tuple[Kind, ...] = ("backends", "routes", "flags")
"""Kinds whose documents have the field `enabled`."""
_LAST_ORDER = float("inf")


def etag_of(text: bytes) -> str:
    """Return the ETag of a document, without quotes."""
    return blake2b(text, digest_size=8).hexdigest()


def check_etag(path: str, current: bytes | None, etag: str, value: Any) -> None:
    """Raise StoreConflict unless ``current`` is what ``etag`` is of."""
    if current is None:
        raise StoreConflict(f"{path} is not there any more")
    if etag not in {ANY, etag_of(current)}:
        raise lost(f"{path} is not as it was read: somebody changed it", path, current, value)


def lost(message: str, path: str, current: bytes, value: Any) -> StoreConflict:
    """Return the conflict between what is there and ``value``, which was to be written."""
    there = value_of(current)
    return StoreConflict(message, current=there, changes=[*differences(there, value, path)])


def text_of(documents: Documents, kind: Kind, name: str) -> bytes:
    """Return the text of a document. Raises UnknownDocument, naming the nearest names."""
    known: Texts = getattr(documents, kind)
    if name not in known:
        like = nearest(name, sorted(known)) if known else "there is none yet"
        raise UnknownDocument(f"{kind}.{name[:200]} is not there; {like}")
    return known[name]


def with_text(documents: Documents, kind: Kind, name: str, text: bytes) -> Documents:
    """Return the documents with one of them added or replaced."""
    return msgspec.structs.replace(documents, **{kind: {**getattr(documents, kind), name: text}})


def without(documents: Documents, kind: Kind, name: str) -> Documents:
    """Return the documents without one of them."""
    left = {each: text for each, text in getattr(documents, kind).items() if each != name}
    return msgspec.structs.replace(documents, **{kind: left})


def switched(kind: Kind, name: str, text: bytes, *, enabled: bool) -> bytes:
    """Return a document switched on or off. Raises ConfigError when its kind has no switch."""
    path = f"{kind}.{name}"
    document = decode_object(text, path)
    if kind == "experiments":
        document["state"] = "running" if enabled else "paused"
    elif kind in SWITCHED:
        document["enabled"] = enabled
    else:
        raise ConfigError([Fault(path, f"has no switch; those have: {', '.join(SWITCHED)}")])
    return msgspec.json.encode(document)


def order_of(text: bytes) -> float:
    """Return the order of a route; one that is broken comes last."""
    document = value_of(text)
    order = document.get("order", 100.0) if isinstance(document, dict) else _LAST_ORDER
    return float(order) if isinstance(order, int | float) else _LAST_ORDER


def is_in(path: str, document: str) -> bool:
    """Return whether the path of a fault leads into ``document`` (``routes.premium``)."""
    return path == document or path.startswith((f"{document}.", f"{document}["))
