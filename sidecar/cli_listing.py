"""Listings of documents: a row for each, with what tells it from the others of its kind."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from sidecar.cli_output import plain
from sidecar.config.documents import Kind

Document = Mapping[str, Any]
Column = tuple[str, Callable[[Document], Any]]

_LONGEST = 60


def table_of(kind: Kind, rows: Sequence[tuple[str, Document | None]]) -> Table:
    """Return a table of (name, document), in this order; ``None``: it cannot be read."""
    columns = COLUMNS[kind]
    table = Table("name", *(title for title, _ in columns))
    for name, document in rows:
        if document is None:
            table.add_row(Text(plain(name), "red"), Text("not valid JSON", "red"))
            continue
        table.add_row(Text(plain(name)), *(Text(_cell(read, document)) for _, read in columns))
    return table


def _cell(read: Callable[[Document], Any], document: Document) -> str:
    try:
        value = read(document)
    except (AttributeError, TypeError, ValueError, KeyError):
        # It was written by hand, past all checks: one odd field must not hide the others.
        return "?"
    text = plain(value if isinstance(value, str) else "" if value is None else _json(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _field(name: str, otherwise: Any = None) -> Column:
    return name, lambda document: document.get(name, otherwise)


def _state(document: Document) -> str:
    return "enabled" if document.get("enabled", True) else "disabled"


def _router(document: Document) -> str:
    router = document["router"]
    return router if isinstance(router, str) else f"{router['type']} of {_targets(router)}"


def _targets(router: Document) -> str:
    if "experiment" in router:
        return str(router["experiment"])
    return ", ".join(_target(one) for one in router.get("targets", ()))


def _target(target: Any) -> str:
    if isinstance(target, str):
        return target
    return str(target.get("model") or target.get("name") or target.get("type") or "…")


def _endpoints(document: Document) -> str:
    urls = (one if isinstance(one, str) else one["url"] for one in document["endpoints"])
    return ", ".join(urls)


def _share(document: Document) -> str:
    share = document.get("share")
    return "everybody" if share is None else f"{share:g} %"


def _limit(document: Document) -> str:
    return f"{document['limit']:,} {document['unit']} per {document['per']}"


def _owner(document: Document) -> str:
    said = (f"{key} {document[key]}" for key in ("user", "tenant", "tier") if key in document)
    return ", ".join(said)


_ON: Column = ("state", _state)
_ABOUT = _field("description")

COLUMNS: Mapping[Kind, Sequence[Column]] = {
    "backends": (
        _ON,
        _field("model"),
        _field("provider"),
        _field("priority", 100),
        ("endpoints", _endpoints),
        _ABOUT,
    ),
    "routes": (_field("order", 100), _ON, _field("match", "always"), ("router", _router), _ABOUT),
    "routers": (_field("type"), ("targets", _targets)),
    "flags": (_ON, ("share", _share), _field("match", "always"), _ABOUT),
    "experiments": (_field("state", "draft"), _ABOUT),
    "budgets": (("limit", _limit), _field("scope", "global"), _field("then", "reject")),
    "keys": (_ON, ("says", _owner), _ABOUT),
    "guards": (_field("url"), _field("timeout_ms", 200), _field("on_error", "fail"), _ABOUT),
    "tests": (_field("expect"),),
}
"""Kind → what its listing shows, besides the name."""
