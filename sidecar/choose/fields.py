"""The fields of a document, and of what lies within it: every fault of them, in JSON's words."""

import json
import typing
from typing import Any, TypeVar

import msgspec

from sidecar.choose.definition import Site

T = TypeVar("T", bound=msgspec.Struct)

_KINDS = (
    (bool, "a boolean"),
    (str, "a string"),
    (int | float, "a number"),
    (list, "an array"),
    (dict, "an object"),
)


def part(document: Any, wanted: type[T], site: Site, where: str) -> T | None:
    """Convert a part of a router's document, or note every fault in it.

    `type` may be among its fields without being one: it said what to convert to.
    """
    if not isinstance(document, dict):
        site.fault(where, f"expected an object, got {kind(document)}")
        return None
    known = wanted.__struct_encode_fields__
    found = len(site.findings.faults)
    for key in document if site.strict else ():
        if key not in known and key != "type":
            site.fault(f"{where}.{key}", f"unknown field; known: {', '.join(known)}")
    try:
        converted = msgspec.convert(document, wanted)
    except msgspec.ValidationError:
        for field in msgspec.structs.fields(wanted):
            if field.required and field.encode_name not in document:
                site.fault(f"{where}.{field.encode_name}", "missing")
        mistakes(wanted, document, site, where)
        return None
    return converted if len(site.findings.faults) == found else None


def mistakes(
    wanted: type[msgspec.Struct], document: typing.Mapping[str, Any], site: Site, where: str = ""
) -> set[str]:
    """Note each field that does not convert (msgspec stops at the first); return their names."""
    wrong = set()
    for field in msgspec.structs.fields(wanted):
        name = field.encode_name
        if name not in document:
            continue
        try:
            msgspec.convert(document[name], field.type)
        except msgspec.ValidationError as error:
            what, _, place = str(error).partition(" - at ")
            if what.startswith("Invalid enum value"):
                known = ", ".join(_values(field.type))
                what = f"unknown value {quoted(document[name])}; known: {known}"
            site.fault(f"{where}.{name}{place.strip('`$')}", what)
            wrong.add(name)
    return wrong


def _values(annotation: Any) -> list[str]:
    """Return the literals in a type, also within a union."""
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [value for part in typing.get_args(annotation) for value in _values(part)]


def kind(value: Any) -> str:
    """Return JSON's word for the type of a value."""
    for types, word in _KINDS:
        if isinstance(value, types):
            return word
    return "null" if value is None else type(value).__name__


def quoted(value: Any) -> str:
    """Return a string in quotes, not too long for a message; of other values their type."""
    return json.dumps(value[:100]) if isinstance(value, str) else kind(value)
