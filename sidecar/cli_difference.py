"""What a change does, document by document, as people read it: lines with + and -."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from rich.text import Text

from sidecar.cli_output import out, plain

_CONTEXT = 3
_MOST = 200
"""Documents shown in full: nobody reads more before a question is answered."""


def show(changes: Sequence[Any], *, done: bool = False) -> None:
    """Print each change with its lines, and how many there are; ``done``: they are history."""
    console = out()
    for change in changes[:_MOST]:
        for line in _lines(change):
            console.print(line, soft_wrap=True)
    if len(changes) > _MOST:
        console.print(Text(f"… and {len(changes) - _MOST:,} documents more", "dim"))
    console.print(Text(_summary(changes, done=done), "bold"))


def _summary(changes: Sequence[Any], *, done: bool) -> str:
    added = sum(change.before is None for change in changes)
    removed = sum(change.after is None for change in changes)
    rest = len(changes) - added - removed
    if done:
        return f"{added:,} added, {rest:,} changed, {removed:,} removed"
    return f"{added:,} to add, {rest:,} to change, {removed:,} to remove"


def _lines(change: Any) -> Iterator[Text]:
    name = plain(f"{change.kind}.{change.name}")
    if change.before is None:
        yield Text(f"+ {name}", "bold green")
    elif change.after is None:
        yield Text(f"- {name}", "bold red")
    else:
        yield Text(f"~ {name}", "bold yellow")
    before, after = _text(change.before), _text(change.after)
    found = difflib.unified_diff(before, after, n=_CONTEXT, lineterm="")
    for line in [*found][3:]:  # after two names of files, and where the first lines are from
        shown = "…" if line.startswith("@@") else plain(line)
        yield Text(f"    {shown}", _style(line))


def _style(line: str) -> str:
    return {"+": "green", "-": "red"}.get(line[:1], "dim")


def _text(document: Any) -> list[str]:
    if document is None:
        return []
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode().splitlines()
