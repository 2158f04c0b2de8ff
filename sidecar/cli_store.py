"""What every command that touches documents shares: its options, and how it gets at the store."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sidecar.cli_completion import versions
from sidecar.cli_output import Format, fail, fault_text, out
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar.config.edits import Editor
    from sidecar.config.redis_store import RedisStore
    from sidecar.model import Policy

__all__ = [
    "Diff",
    "Force",
    "Formatted",
    "Json",
    "RedisUrl",
    "SkipTests",
    "Version",
    "Who",
    "Yes",
    "fail",
    "fault_text",
    "policy",
    "report_live",
    "user",
    "with_editor",
    "with_store",
]

T = TypeVar("T")

RedisUrl = Annotated[str | None, typer.Option("--redis-url", help="Overrides POINTSMAN_REDIS_URL.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Who = Annotated[str | None, typer.Option("--who", help="Name in the history.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Diff = Annotated[
    bool,
    typer.Option("--diff", help="Only show what would change; ends with 1 when something would."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Restart the data of experiments that must not change.")
]
SkipTests = Annotated[bool, typer.Option("--skip-tests", help="Write also when a rule test fails.")]
Formatted = Annotated[Format, typer.Option("--format", help="How it is printed.")]
Version = Annotated[
    int, typer.Argument(help="A version from `pointsman history`.", autocompletion=versions)
]


def with_store(use: "Callable[[RedisStore], Awaitable[T]]", redis_url: str | None) -> T:
    """Open the store of the settings, use it, close it."""
    # Loading Redis and the rules takes longer than all the rest of `--help`.
    from sidecar.config.redis_store import RedisStore  # noqa: PLC0415

    settings = Settings.read(os.environ, redis_url=redis_url)

    async def run() -> T:
        store = RedisStore(settings.store_url(), settings.prefix)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(run())


def with_editor(use: "Callable[[Editor], Awaitable[T]]", redis_url: str | None) -> T:
    """Open the store for changes that are checked, use it, close it."""
    from sidecar.config.edits import Editor  # noqa: PLC0415 - as above

    async def edit(store: "RedisStore") -> T:
        editor = Editor(store, policy())
        try:
            return await use(editor)
        finally:
            editor.close()

    return with_store(edit, redis_url)


def policy() -> "Policy":
    """Return those settings that a decision depends on."""
    from sidecar.app.rules import policy_of  # noqa: PLC0415 - as above

    return policy_of(Settings.read(os.environ))


def user() -> str:
    """Return who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user: a container's bare uid
        return str(os.getuid())


def report_live(version: int | None) -> None:
    """Say which version is live now; ``None`` when nothing was written."""
    if version is None:
        out().print("[yellow]=[/] nothing written: the store holds documents already")
    else:
        out().print(f"[green]✓[/] live as version {version}")
