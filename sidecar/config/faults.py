"""From what msgspec says about a document to faults that name the path and the legal values."""

import difflib
import re
import types
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from sidecar.errors import ConfigError, Fault
from sidecar.facts import relax

Document = TypeVar("Document", bound=msgspec.Struct)
T = TypeVar("T")

_MOST_LISTED = 50

_MISSING = re.compile(r"Object missing required field `(?P<field>\w+)`\Z")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*)`\Z", re.DOTALL)
_WRONG = re.compile(r"Invalid enum value '(?P<value>.*)'\Z", re.DOTALL)


def decode(raw: bytes, kind: type[Document], path: str) -> Document:
    """Decode one document strictly; raises ConfigError with the fault's full path."""
    try:
        return _decode(raw, kind)
    except msgspec.ValidationError as error:
        raise ConfigError([_explain(str(error), kind, path)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError([Fault(path, f"not valid JSON: {error}")]) from None


def decode_object(raw: bytes, path: str) -> dict[str, Any]:
    """Decode a document that another room checks; here it only has to be an object."""
    try:
        return _decode(raw, dict[str, Any])
    except msgspec.ValidationError as error:
        raise ConfigError([Fault(path, str(error).partition(" - at ")[0])]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError([Fault(path, f"not valid JSON: {error}")]) from None


def _decode(raw: bytes, kind: type[T]) -> T:
    """Decode; what is no JSON is read as people paste it: with comments and continued lines."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        relaxed = relax(raw)
        if relaxed == raw:
            raise
        return msgspec.json.decode(relaxed, type=kind)


def nearest(word: str, legal: Sequence[str]) -> str:
    """Return what to say about an unknown ``word``: the likely one, and the legal ones."""
    close = difflib.get_close_matches(word, legal, n=1)
    guess = f'did you mean "{close[0]}"? ' if close else ""
    more = ", …" if len(legal) > _MOST_LISTED else ""
    return f"{guess}legal: {', '.join(legal[:_MOST_LISTED])}{more}"


def _explain(message: str, kind: type, path: str) -> Fault:
    what, _, place = message.partition(" - at `$")
    inner = place.removesuffix("`")
    if missing := _MISSING.match(what):
        return Fault(f"{path}{inner}.{missing['field']}", "is missing")
    if unknown := _UNKNOWN.match(what):
        field, legal = unknown["field"], sorted(_fields(_struct_at(kind, inner)))
        return Fault(f"{path}{inner}.{field}", f'unknown field "{field}"; {nearest(field, legal)}')
    if wrong := _WRONG.match(what):
        parent, _, field = inner.rpartition(".")
        legal = _choices(_fields(_struct_at(kind, parent))[field])
        value = wrong["value"]
        return Fault(path + inner, f'unknown value "{value}"; {nearest(value, legal)}')
    return Fault(path + inner, what)


def _struct_at(kind: type, inner: str) -> type:
    """Return the struct that msgspec's path (``.endpoints[0]``) leads to."""
    for step in re.findall(r"\.(\w+)", inner):
        kind = next(_structs(_fields(kind)[step]))
    return kind


def _fields(kind: type) -> dict[str, Any]:
    """Return the fields by their names in JSON."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}


def _structs(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation
    for part in get_args(annotation):
        yield from _structs(part)


def _choices(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if get_origin(annotation) in {Union, types.UnionType}:
        return [choice for part in get_args(annotation) for choice in _choices(part)]
    return []
