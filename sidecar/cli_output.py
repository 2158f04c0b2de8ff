"""What commands print, and what they ask: results on stdout, all the rest on stderr."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, NoReturn

import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from sidecar.errors import Fault

PIPE_COLUMNS = 200
"""A pipe has no width, and whoever reads it later wants whole lines."""

Progress = Callable[[int, int | None], None]
"""Is told how much is done, and of how much where that is known."""


class Format(StrEnum):
    """How documents are printed."""

    json = "json"
    yaml = "yaml"


def out() -> Console:
    """Return where results go, made anew: the width of a terminal changes."""
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_COLUMNS
    return Console(highlight=False, width=wide)


def err() -> Console:
    """Return where everything goes that is not the result."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def on_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask on a terminal; without one, or with ``yes``, the answer is yes."""
    if yes or not on_terminal():
        return True
    try:
        err().print(Text.assemble((question, "bold"), " [y/N] "), end="")
        return input().strip().lower() in {"y", "yes"}
    except (EOFError, KeyboardInterrupt):
        err().print()
        return False


@contextmanager
def working(what: str) -> Iterator[Progress]:
    """Show on a terminal that something takes its time, and how far it is."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = err()
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_json(value: Any) -> None:
    """Print it as JSON that people can read too."""
    print_as(value, Format.json)


def as_text(value: Any, how: Format) -> bytes:
    """Return a document, or all of them, as it is filed."""
    if how is Format.json:
        return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    from sidecar.config.yaml_text import write_yaml  # noqa: PLC0415 - few ask for it

    return write_yaml(value)


def print_as(value: Any, how: Format) -> None:
    """Print a document, or all of them."""
    sys.stdout.flush()
    sys.stdout.buffer.write(as_text(value, how))
    sys.stdout.buffer.flush()


def print_table(table: Table) -> None:
    """Print rows for people."""
    out().print(table)


def fault_text(fault: Fault) -> Text:
    """Return a fault for people; not markup, for paths have brackets of their own."""
    return Text.assemble(("✗ ", "red"), (plain(fault.path), "bold"), f": {plain(fault.message)}")


def plain(text: str) -> str:
    """Return text without what a terminal would obey: documents are written by many hands."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)


def fail(message: str, code: int) -> NoReturn:
    """End with one clear line and an exit code."""
    err().print(Text.assemble(("✗ ", "red"), plain(message)))
    sys.exit(code)
