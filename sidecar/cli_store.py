"""`pointsman check | apply | export | history | rollback`: documents, and where they are kept."""

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidecar.app.rules import open_store, policy_of
from sidecar.config.check import Report, check_file
from sidecar.config.documents import Documents
from sidecar.config.experiments import changes, restarted
from sidecar.config.redis_store import Change, RedisStore, Stored
from sidecar.errors import ConfigError, Fault
from sidecar.settings import Settings

T = TypeVar("T")

_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)

RedisUrl = Annotated[str | None, typer.Option("--redis-url", help="Overrides POINTSMAN_REDIS_URL.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
File = Annotated[Path, typer.Argument(help="A configuration file (JSON).", exists=True)]


def check(
    paths: Annotated[list[Path], typer.Argument(help="Configuration files (JSON).")],
    as_json: Json = False,
) -> None:
    """Check configuration files without Redis, and run the rule tests that they hold.

    Each fault and each test that fails is printed with its path, and ends this with 1. Settings
    that a decision depends on (POINTSMAN_ON_UNKNOWN_MODEL, …) are read from the environment.

    Example: [bold]pointsman check rules.json[/]
    """
    reports = [check_file(path, policy_of(Settings.read(os.environ))) for path in paths]
    if as_json:
        rows = [report.to_json() for report in reports]
        sys.stdout.buffer.write(msgspec.json.encode(rows) + b"\n")
    else:
        for report in reports:
            _print_report(report)
    if not all(report.passed for report in reports):
        sys.exit(1)


def _print_report(report: Report) -> None:
    for fault in [*report.faults, *report.failed]:
        _out.print(Text(f"{report.file}: "), fault_text(fault), sep="")
    if report.passed:
        _out.print(f"[green]✓[/] {report.file}: {report.summary()}")


def apply(
    file: File,
    redis_url: RedisUrl = None,
    who: Annotated[str | None, typer.Option(help="Name in the history.")] = None,
    only_if_empty: Annotated[
        bool, typer.Option("--only-if-empty", help="Leave a store alone that holds documents.")
    ] = False,
    skip_tests: Annotated[
        bool, typer.Option("--skip-tests", help="Apply also when a rule test fails.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Restart the data of experiments that must not change.")
    ] = False,
) -> None:
    """Replace all documents in Redis by those of a file, all at once.

    The file is checked first, as `pointsman check` does: nothing is written when a document is
    wrong or a rule test fails. Nor is it when an experiment that has begun would get another key,
    salt, group or other arms under the same version; with --force it gets the next version.

    Example: [bold]pointsman export > rules.json; edit rules.json; pointsman apply rules.json[/]
    """
    report = check_file(file, policy_of(Settings.read(os.environ)), skip_tests=skip_tests)
    if report.failed:
        _err.print("Nothing was written, as tests failed; --skip-tests writes it all the same.")
    if not report.passed:
        raise ConfigError([*report.faults, *report.failed])

    async def write(store: RedisStore) -> int | None:
        stored = await store.load()
        if only_if_empty and not stored.documents.empty:
            return None
        documents = consistent(report.documents, stored, force=force)
        return await store.apply(
            documents, based_on=stored, who=who or user(), what=f"apply {file.name}"
        )

    report_live(with_store(write, redis_url))


def consistent(documents: Documents, stored: Stored, *, force: bool) -> Documents:
    """Return documents under which no experiment mixes data; raises ConfigError without force."""
    faults = changes(stored.documents, documents)
    if faults and not force:
        _err.print("Nothing was written, as an experiment has begun; --force restarts its data.")
        raise ConfigError(faults)
    again = restarted(stored.documents, documents)
    for name in again:
        _err.print(Text(f"! experiments.{name}: gets a new version, and its data restarts"))
    return msgspec.structs.replace(documents, experiments={**documents.experiments, **again})


def export(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file.")] = None,
    redis_url: RedisUrl = None,
) -> None:
    """Print all documents as one JSON object that `apply` takes.

    Example: [bold]pointsman export -o rules.json[/]
    """

    async def read(store: RedisStore) -> bytes:
        return (await store.load()).documents.to_json()

    text = msgspec.json.format(with_store(read, redis_url), indent=2) + b"\n"
    if output is None:
        sys.stdout.buffer.write(text)
    else:
        output.write_bytes(text)


def history(
    count: Annotated[int, typer.Option("--count", "-n", help="How many, newest first.")] = 20,
    redis_url: RedisUrl = None,
    as_json: Json = False,
) -> None:
    """List versions: who changed what, and when.

    Example: [bold]pointsman history -n 5[/]
    """

    async def read(store: RedisStore) -> list[Change]:
        return await store.history(count)

    entries = with_store(read, redis_url)
    if as_json:
        rows = [
            {"version": e.version, "when": e.when, "who": e.who, "what": e.what}
            | ({} if e.evidence is None else {"evidence": e.evidence})
            for e in entries
        ]
        sys.stdout.buffer.write(msgspec.json.encode(rows) + b"\n")
        return
    table = Table("version", "when", "who", "what")
    for entry in entries:
        table.add_row(str(entry.version), str(entry.when), entry.who, entry.what)
    _out.print(table)


def rollback(
    version: Annotated[int, typer.Argument(help="A version from `pointsman history`.")],
    redis_url: RedisUrl = None,
    who: Annotated[str | None, typer.Option(help="Name in the history.")] = None,
) -> None:
    """Make the documents of an earlier version live again, as a new version.

    Example: [bold]pointsman rollback 41[/]
    """

    async def write(store: RedisStore) -> int:
        documents = await store.version_at(version)
        if documents is None:
            fail(f"version {version} is not in the history", 1)
        stored = await store.load()
        return await store.apply(
            documents,
            based_on=stored,
            who=who or user(),
            what=f"rollback to {version}",
        )

    report_live(with_store(write, redis_url))


def user() -> str:
    """Return who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user: a container's bare uid
        return str(os.getuid())


def report_live(version: int | None) -> None:
    """Say which version is live now; ``None`` when nothing was written."""
    if version is None:
        _out.print("[yellow]=[/] nothing written: the store holds documents already")
    else:
        _out.print(f"[green]✓[/] live as version {version}")


def with_store(use: Callable[[RedisStore], Awaitable[T]], redis_url: str | None) -> T:
    """Open the store of the settings, use it, close it."""
    settings = Settings.read(os.environ, redis_url=redis_url)

    async def run() -> T:
        async with open_store(settings) as store:
            return await use(store)

    return asyncio.run(run())


def fault_text(fault: Fault) -> Text:
    """Return a fault for people; not markup, for paths have brackets of their own."""
    return Text.assemble(("✗ ", "red"), (fault.path, "bold"), f": {fault.message}")


def fail(message: str, code: int) -> NoReturn:
    """End with one clear line and an exit code."""
    _err.print(Text.assemble(("✗ ", "red"), message))
    sys.exit(code)
