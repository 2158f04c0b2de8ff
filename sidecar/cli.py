"""The `pointsman` command."""

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

from sidecar import __version__
from sidecar.app.rules import open_store, policy_of
from sidecar.cli_explain import explain
from sidecar.config.check import Report, check_file
from sidecar.config.redis_store import Change, RedisStore
from sidecar.errors import (
    ConfigError,
    Fault,
    PointsmanError,
    SettingsError,
    StoreConflict,
    StoreError,
)
from sidecar.settings import Settings

T = TypeVar("T")

app = typer.Typer(
    name="pointsman",
    help="Routes LLM traffic through Envoy by rules kept in Redis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)

RedisUrl = Annotated[str | None, typer.Option("--redis-url", help="Overrides POINTSMAN_REDIS_URL.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
File = Annotated[Path, typer.Argument(help="A configuration file (JSON).", exists=True)]


def main() -> None:
    """Run the command line; errors end it with one clear line and the contract's exit code.

    1: the input is wrong. 2: usage or a setting is wrong. 3: something needed is not reachable.
    """
    try:
        app()
    except ConfigError as error:
        for fault in error.faults:
            _err.print(_fault(fault))
        sys.exit(1)
    except StoreConflict as error:
        _fail(f"{error}. Export again, repeat your change, apply again.", 1)
    except SettingsError as error:
        _fail(str(error), 2)
    except StoreError as error:
        _fail(f"{error}. Is Redis running, and is POINTSMAN_REDIS_URL right?", 3)
    except PointsmanError as error:
        _fail(str(error), 3)


def _fault(fault: Fault) -> Text:
    """Return a fault for people; not markup, for paths have brackets of their own."""
    return Text.assemble(("✗ ", "red"), (fault.path, "bold"), f": {fault.message}")


def _fail(message: str, code: int) -> NoReturn:
    _err.print(Text.assemble(("✗ ", "red"), message))
    sys.exit(code)


@app.command()
def up(
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Documents for an empty store, instead of the examples."),
    ] = None,
    demo: Annotated[
        bool, typer.Option(help="Start simulated models and the example rules.")
    ] = True,
) -> None:
    """Start Redis, demo models, the sidecar and Envoy on this machine; Ctrl-C ends them all.

    Example: [bold]POINTSMAN_LISTEN=127.0.0.1:9000 pointsman up[/]
    """
    from sidecar.app.up import run

    run(_settings(), config=config, demo=demo)


@app.command()
def serve() -> None:
    """Run the sidecar: the control process and its workers. Redis and Envoy are yours.

    Example: [bold]POINTSMAN_REDIS_URL=redis://redis:6379 POINTSMAN_RUN_DIR=/run/pointsman
    pointsman serve[/], then [bold]envoy -c /run/pointsman/envoy.json[/]
    """
    from sidecar.app.control import run

    run(_settings())


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(help="Configuration files (JSON).")],
    as_json: Json = False,
) -> None:
    """Check configuration files without Redis, and run the rule tests that they hold.

    Each fault and each test that fails is printed with its path, and ends this with 1. Settings
    that a decision depends on (POINTSMAN_ON_UNKNOWN_MODEL, …) are read from the environment.

    Example: [bold]pointsman check rules.json[/]
    """
    reports = [check_file(path, policy_of(_settings())) for path in paths]
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
        _out.print(Text(f"{report.file}: "), _fault(fault), sep="")
    if report.passed:
        _out.print(f"[green]✓[/] {report.file}: {report.summary()}")


@app.command()
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
) -> None:
    """Replace all documents in Redis by those of a file, all at once.

    The file is checked first, as `pointsman check` does: nothing is written when a document is
    wrong or a rule test fails.

    Example: [bold]pointsman export > rules.json; edit rules.json; pointsman apply rules.json[/]
    """
    report = check_file(file, policy_of(_settings()), skip_tests=skip_tests)
    if report.failed:
        _err.print("Nothing was written, as tests failed; --skip-tests writes it all the same.")
    if not report.passed:
        raise ConfigError([*report.faults, *report.failed])

    async def write(store: RedisStore) -> int | None:
        stored = await store.load()
        if only_if_empty and not stored.documents.empty:
            return None
        return await store.apply(
            report.documents, based_on=stored, who=who or _user(), what=f"apply {file.name}"
        )

    _report_live(_with_store(write, redis_url))


@app.command()
def export(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file.")] = None,
    redis_url: RedisUrl = None,
) -> None:
    """Print all documents as one JSON object that `apply` takes.

    Example: [bold]pointsman export -o rules.json[/]
    """

    async def read(store: RedisStore) -> bytes:
        return (await store.load()).documents.to_json()

    text = msgspec.json.format(_with_store(read, redis_url), indent=2) + b"\n"
    if output is None:
        sys.stdout.buffer.write(text)
    else:
        output.write_bytes(text)


app.command()(explain)


@app.command()
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

    entries = _with_store(read, redis_url)
    if as_json:
        rows = [
            {"version": e.version, "when": e.when, "who": e.who, "what": e.what} for e in entries
        ]
        sys.stdout.buffer.write(msgspec.json.encode(rows) + b"\n")
        return
    table = Table("version", "when", "who", "what")
    for entry in entries:
        table.add_row(str(entry.version), str(entry.when), entry.who, entry.what)
    _out.print(table)


@app.command()
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
            _fail(f"version {version} is not in the history", 1)
        stored = await store.load()
        return await store.apply(
            documents,
            based_on=stored,
            who=who or _user(),
            what=f"rollback to {version}",
        )

    _report_live(_with_store(write, redis_url))


@app.command("envoy-config")
def envoy_config() -> None:
    """Print the bootstrap for an Envoy of your own, from the settings of this environment.

    Example: [bold]POINTSMAN_RUN_DIR=/run/pointsman pointsman envoy-config > envoy.json[/]
    """
    from sidecar.app.envoy import bootstrap_text

    sys.stdout.buffer.write(bootstrap_text(_settings()))


@app.command()
def version() -> None:
    """Print the version."""
    _out.print(__version__)


def _settings() -> Settings:
    return Settings.read(os.environ)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user: a container's bare uid
        return str(os.getuid())


def _report_live(version: int | None) -> None:
    if version is None:
        _out.print("[yellow]=[/] nothing written: the store holds documents already")
    else:
        _out.print(f"[green]✓[/] live as version {version}")


def _with_store(use: Callable[[RedisStore], Awaitable[T]], redis_url: str | None) -> T:
    """Open the store of the settings, use it, close it."""
    settings = Settings.read(os.environ, redis_url=redis_url)

    async def run() -> T:
        async with open_store(settings) as store:
            return await use(store)

    return asyncio.run(run())


if __name__ == "__main__":
    main()
