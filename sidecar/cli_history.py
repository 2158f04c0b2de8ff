"""`pointsman history | rollback`: versions, what they changed, and the way back."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from sidecar.cli_completion import versions
from sidecar.cli_difference import show
from sidecar.cli_output import fail, out, plain, print_json, print_table
from sidecar.cli_store import (
    Diff,
    Force,
    Json,
    RedisUrl,
    Version,
    Who,
    Yes,
    user,
    with_editor,
    with_store,
)
from sidecar.cli_write import Plan, carry_out, read_whole, replacing

if TYPE_CHECKING:
    from sidecar.config.documents import Documents
    from sidecar.config.redis_store import Change, RedisStore


def history(
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="How many, newest first.")
    ] = 20,
    diff: Annotated[
        int | None,
        typer.Option(
            "--diff",
            metavar="VERSION",
            help="Show what this version changed.",
            autocompletion=versions,
        ),
    ] = None,
    redis_url: RedisUrl = None,
    as_json: Json = False,
) -> None:
    """List versions: who changed what, and when; or show what one of them changed.

    Examples: [bold]pointsman history -n 5[/], [bold]pointsman history --diff 41[/]
    """
    if diff is not None:
        _show_version(diff, redis_url, as_json=as_json)
        return

    async def read(store: "RedisStore") -> "list[Change]":
        return await store.history(count)

    entries = with_store(read, redis_url)
    if as_json:
        print_json([_row(entry) for entry in entries])
        return
    table = Table("version", "when", "who", "what")
    for entry in entries:
        cells = (str(entry.version), entry.when, entry.who, entry.what)
        table.add_row(*(Text(plain(cell)) for cell in cells))
    print_table(table)


def _row(entry: "Change") -> dict[str, Any]:
    row = {"version": entry.version, "when": entry.when, "who": entry.who, "what": entry.what}
    return row if entry.evidence is None else row | {"evidence": entry.evidence}


def _show_version(version: int, redis_url: str | None, *, as_json: bool) -> None:
    from sidecar.config.differences import document_changes  # noqa: PLC0415 - few ask for it

    async def read(store: "RedisStore") -> "tuple[Change, Documents, Documents]":
        entry, after = await store.entry_at(version) or _gone(version)
        return entry, after, await _before(store, version)

    entry, after, before = with_store(read, redis_url)
    changes = document_changes(before, after)
    if as_json:
        print_json(_row(entry) | {"changes": [change._asdict() for change in changes]})
        return
    text = f"version {version}, {entry.when}, {plain(entry.who)}: {plain(entry.what)}"
    out().print(Text(text, "bold"))
    show(changes, done=True)


async def _before(store: "RedisStore", version: int) -> "Documents":
    """Return what the version before held; the first one there is was made from nothing."""
    from sidecar.config.documents import Documents  # noqa: PLC0415 - as in `with_store`

    earlier = await store.history(1, before=version)
    if earlier:
        return await store.version_at(earlier[0].version) or Documents()
    if version > 1:
        fail(f"the version before {version} is not in the history any more, which is bounded", 1)
    return Documents()


def rollback(  # noqa: PLR0913, PLR0917 - each is an option
    version: Version,
    redis_url: RedisUrl = None,
    who: Who = None,
    force: Force = False,
    yes: Yes = False,
    diff: Diff = False,
    as_json: Json = False,
) -> None:
    """Make the documents of an earlier version live again, as a new version.

    Refused when it would mix the data of an experiment that has begun: with --force such an
    experiment gets its next version. Rule tests that fail are named, and hold up nothing. On a
    terminal you see what would change, and are asked.

    Examples: [bold]pointsman rollback 41[/], [bold]pointsman rollback 41 --diff[/]
    """

    async def read(store: "RedisStore") -> "Documents":
        return await store.version_at(version) or _gone(version)

    whole = with_editor(read_whole, redis_url)
    documents, what = with_store(read, redis_url), f"rollback to {version}"
    write = replacing(whole, documents, what, who or user(), force=force, skip_tests=True)
    question = f"Roll back to version {version}?"
    carry_out(Plan(write, question, redis_url), yes=yes, diff=diff, as_json=as_json)


def _gone(version: int) -> Any:
    fail(f"version {version} is not in the history; `pointsman history -n 1000` lists it", 1)
