"""What is different between two configurations, and between two versions of one document."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sidecar.config.documents import Documents, Kind, Texts
from sidecar.config.faults import decode_object
from sidecar.errors import ConfigError


class DocumentChange(NamedTuple):
    """A document before and after; ``None``: there is none. One that is no JSON is its text."""

    kind: Kind
    name: str
    before: Any
    after: Any


class Difference(NamedTuple):
    """Two values at one place (``routes.premium.match``); ``None``: there is none."""

    path: str
    before: Any
    after: Any


def document_changes(before: Documents, after: Documents) -> list[DocumentChange]:
    """Return the documents whose content is different, in the order of kinds and names."""
    changes = [
        DocumentChange(kind, name, _value(old, name), _value(new, name))
        for (kind, new), (_, old) in zip(after.by_kind(), before.by_kind(), strict=True)
        for name in sorted(new.keys() | old.keys())
        if new.get(name) != old.get(name)
    ]
    return [one for one in changes if any(differences(one.before, one.after, one.name))]


def differences(before: Any, after: Any, path: str) -> Iterator[Difference]:
    """Yield the innermost differences of two JSON values; lists are compared place by place."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(before.get(key), after.get(key), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, f"{path}[{place}]")
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield Difference(path, before, after)


def value_of(text: bytes) -> Any:
    """Return a document as a JSON value; one that is no JSON object as text."""
    try:
        return decode_object(text, "")
    except ConfigError:
        return text.decode(errors="backslashreplace")


def _value(texts: Texts, name: str) -> Any:
    return value_of(texts[name]) if name in texts else None
