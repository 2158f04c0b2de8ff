"""From a router's JSON object to the definition of its type, with every fault of its fields."""

import msgspec

from sidecar.choose.definition import Definition, Site
from sidecar.choose.fields import mistakes, quoted
from sidecar.choose.strategies import STRATEGIES


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
        wrong = mistakes(definition, site.document, site)
        good = {key: value for key, value in site.document.items() if key not in wrong}
        return msgspec.convert(good, definition)


def _check_fields(definition: type[Definition], site: Site) -> None:
    if not site.strict:
        return
    for key in site.document:
        if not definition.legal(key):
            known = ", ".join(definition.fields())
            site.fault(f".{key}", f"unknown field; {definition.names[0]} has: {known}")
