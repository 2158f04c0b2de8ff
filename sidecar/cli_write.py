"""Changes of the store: shown and agreed to on a terminal, checked, written, reported."""

import re
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import msgspec
import typer
from rich.text import Text

from sidecar.cli_difference import show
from sidecar.cli_output import (
    confirmed,
    err,
    on_terminal,
    out,
    plain,
    print_json,
    working,
)
from sidecar.cli_store import with_editor
from sidecar.errors import ConfigError, Fault

if TYPE_CHECKING:
    from sidecar.config.documents import Documents
    from sidecar.config.edits import Editor, Whole
    from sidecar.config.writing import Edited, Options

_NOT_LIVE = "not live until this is mended"
_FAILED = ". See why: "
_MIXES = re.compile(r"raise version to|the next one is").search
"""What `config` says where a test failed, and where the data of an experiment would be mixed."""


Write = Callable[..., Coroutine[Any, Any, "Edited"]]
"""Takes the editor and ``dry_run``; must refuse (StoreConflict) what others wrote meanwhile."""


class Plan(NamedTuple):
    """What is to be written, and what is asked before."""

    write: Write
    question: str
    redis_url: str | None


def replacing(
    whole: "Whole", documents: "Documents", what: str, who: str, **options: "Unpack[Options]"
) -> Write:
    """Return what replaces all documents; ``whole`` is what the change is based on."""
    documents = _as_stored(documents, whole.documents)

    async def write(editor: "Editor", *, dry_run: bool) -> "Edited":
        made: Options = {**options, "dry_run": dry_run}
        return await editor.replace(documents, who=who, what=what, etag=whole.etag, **made)

    return write


def carry_out(plan: Plan, *, yes: bool, diff: bool, as_json: bool) -> None:
    """Show what would change and ask, on a terminal; then write it and report.

    Without a terminal nobody is asked. ``diff``: only show, and end with 1 when something differs.
    """
    asks = on_terminal() and not as_json
    if diff or asks:
        found = edited(plan, dry_run=True)
        if diff:
            _tell(found, as_json=as_json)
            raise typer.Exit(1 if found.changes else 0)
        if found.changes:
            show(found.changes)
            _warn(found.warnings)
            if not confirmed(plan.question, yes=yes):
                err().print("[yellow]=[/] nothing written")
                raise typer.Exit(1)
    report(edited(plan), as_json=as_json)


def edited(plan: Plan, *, dry_run: bool = False) -> "Edited":
    """Check it and write it; with ``dry_run`` only check it."""

    async def run(editor: "Editor") -> "Edited":
        return await plan.write(editor, dry_run=dry_run)

    with working("Checking" if dry_run else "Writing"):
        try:
            return with_editor(run, plan.redis_url)
        except ConfigError as error:
            raise explained(error.faults) from None


def report(found: "Edited", *, as_json: bool) -> None:
    """Say what is live now. Ends with 1 when something else is wrong, and so nothing new is."""
    held_up = any(warning.startswith(_NOT_LIVE) for warning in found.warnings)
    if as_json:
        _print(found)
    elif not found.changes:
        out().print(f"[green]=[/] nothing differs: version {found.version} stays")
    elif held_up:
        text = f"written as version {found.version}, but not live until all of it is mended"
        err().print(text, style="yellow")
    else:
        out().print(f"[green]✓[/] live as version {found.version}")
    _warn(found.warnings)
    if held_up:
        raise typer.Exit(1)


def explained(faults: Sequence[Fault]) -> ConfigError:
    """Return the error of these faults, after a line on what would let them pass."""
    if any(_FAILED in fault.message for fault in faults):
        err().print("Nothing was written, as tests failed; --skip-tests writes it all the same.")
    if any(_MIXES(fault.message) for fault in faults if fault.path.startswith("experiments.")):
        err().print("Nothing was written, as an experiment has begun; --force restarts its data.")
    return ConfigError(faults)


async def read_whole(editor: "Editor") -> "Whole":
    """Return all documents, and the ETag that a change of them is based on."""
    return await editor.whole()


def _as_stored(documents: "Documents", stored: "Documents") -> "Documents":
    """Return documents with the store's own text wherever it says the same in other spaces."""
    known = dict(stored.by_kind())
    merged = {
        kind: {name: kept(text, known[kind].get(name)) for name, text in texts.items()}
        for kind, texts in documents.by_kind()
    }
    return type(documents)(**merged)


def kept(text: bytes, stored: bytes | None) -> bytes:
    """Return the stored text where it says the same in other spaces: then nothing differs."""
    if stored is None or text == stored:
        return text
    try:
        return stored if _sorted(text) == _sorted(stored) else text
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text


def _sorted(text: bytes) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(text), order="sorted")


def _tell(found: "Edited", *, as_json: bool) -> None:
    if as_json:
        _print(found)
    elif found.changes:
        show(found.changes)
    else:
        out().print(f"[green]=[/] nothing differs from version {found.version}")
    if not as_json:
        _warn(found.warnings)


def _print(found: "Edited") -> None:
    changes = [change._asdict() for change in found.changes]
    print_json({"version": found.version, "warnings": found.warnings, "changes": changes})


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        err().print(Text.assemble(("! ", "yellow"), plain(warning)))
