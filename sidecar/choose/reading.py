"""From a router's JSON object to the definition of its type, with every fault of its fields."""

import json
import typing
from typing import Any

import msgspec

from sidecar.choose.definition import Definition, Site
from sidecar.choose.strategies import STRATEGIES

_KINDS = (
    (bool, "a boolean"),
    (str, "a string"),
    (int | float, "a number"),
    (list, "an array"),
    (dict, "an object"),
)


def read(site: Site) -> Definition | None:
    """Convert the document to the definition of its type, without the fields that are wrong."""
    name = site.document.get("type")
    definition = STRATEGIES.get(name) if isinstance(name, str) else None
    if definition is None:
        what = f"unknown type {quoted(name)}" if "type" in site.document else "missing"
        site.fault(".type", f"{what}; known: {', '.join(sorted(STRATEGIES))}")
        return None
    _check_fields(definition, site)
    try:
        return msgspec.convert(site.document, definition)
    except msgspec.ValidationError:
        wrong = _explain(definition, site)
        good = {key: value for key, value in site.document.items() if key not in wrong}
        return msgspec.convert(good, definition)


def _check_fields(definition: type[Definition], site: Site) -> None:
    if not site.strict:
        return
    for key in site.document:
        if not definition.legal(key):
            known = ", ".join(definition.fields())
            site.fault(f".{key}", f"unknown field; {definition.names[0]} has: {known}")


def _explain(definition: type[Definition], site: Site) -> set[str]:
    """Note each field that does not convert (msgspec stops at the first); return their names."""
    wrong = set()
    for field in msgspec.structs.fields(definition):
        if field.name not in site.document:
            continue
        value = site.document[field.name]
        try:
            msgspec.convert(value, field.type)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at ")
            if what.startswith("Invalid enum value"):
                what = f"unknown value {quoted(value)}; known: {', '.join(_values(field.type))}"
            site.fault(f".{field.name}{where.strip('`$')}", what)
            wrong.add(field.name)
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
