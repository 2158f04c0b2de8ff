"""`pointsman experiments …`: the documents, their switches, and what was learned."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidecar.app.rules import policy_of
from sidecar.cli_rollout import COMMANDS
from sidecar.cli_store import Json, RedisUrl, consistent, report_live, user, with_store
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents, check_name
from sidecar.config.experiment_edits import Document, Edit, edited
from sidecar.config.experiments import decode_experiment
from sidecar.config.faults import decode_object, nearest
from sidecar.config.redis_store import RedisStore
from sidecar.errors import ConfigError, Fault
from sidecar.settings import Settings

experiments = typer.Typer(
    name="experiments",
    help="Experiments: documents, switches, reports.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

WATCH_SECONDS = 2.0
_PIPE_COLUMNS = 120
_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False, soft_wrap=True)

Name = Annotated[str, typer.Argument(help="The experiment's name.")]
Who = Annotated[str | None, typer.Option(help="Name in the history.")]
Change = Callable[[Documents], tuple[Documents, str]]
"""Documents → those to be written, and what was done in words for the history."""


# ── documents ──────────────────────────────────────────────────────────────


@experiments.command("list")
def list_all(redis_url: RedisUrl = None, as_json: Json = False) -> None:
    """List all experiments: state, arms with their shares, requests so far.

    Example: [bold]pointsman experiments list[/]
    """
    from sidecar.cli_experiment_report import listed  # noqa: PLC0415 - as in `report`

    rows = listed(redis_url)
    if as_json:
        print_json(rows)
        return
    table = Table("name", "version", "state", "arms", "requests", "description")
    for row in rows:
        arms = ", ".join(f"{name} {share:g} %" for name, share in row["arms"].items())
        cells = (row["version"], row["state"], arms, f"{row['assigned']:,}", row["description"])
        table.add_row(Text(row["name"]), *(Text(str(cell)) for cell in cells))
    _out.print(table)


@experiments.command("get")
def get(name: Name, redis_url: RedisUrl = None, as_json: Json = False) -> None:  # noqa: ARG001
    """Print the document of an experiment, which is JSON with and without --json.

    Example: [bold]pointsman experiments get checkout-canary > canary.json[/]
    """

    async def read(store: RedisStore) -> bytes:
        return text_of(name, (await store.load()).documents)

    document = decode_object(with_store(read, redis_url), f"experiments.{name}")
    print_json(document)


@experiments.command("put")
def put(
    name: Name,
    file: Annotated[str, typer.Argument(help="A document (JSON); - for standard input.")],
    force: Annotated[
        bool, typer.Option("--force", help="Restart its data when it changes what must not change.")
    ] = False,
    redis_url: RedisUrl = None,
    who: Who = None,
) -> None:
    """Write the document of an experiment; it is live at once, and checked before.

    Once it has begun, another key, salt, group or other arms need a new version, with which its
    data restarts; --force gives it one.

    Example: [bold]pointsman experiments put checkout-canary canary.json[/]
    """
    text = _input(file)

    def change(documents: Documents) -> tuple[Documents, str]:
        faults = [*check_name("experiments", name)]
        if faults:
            raise ConfigError(faults)
        decode_experiment(name, text)
        found = {**documents.experiments, name: text}
        return msgspec.structs.replace(documents, experiments=found), f"put experiments.{name}"

    _write(change, redis_url, who, force=force)


@experiments.command("rm")
def remove(name: Name, redis_url: RedisUrl = None, who: Who = None) -> None:
    """Remove an experiment that no route uses any more; its statistics stay for 90 days.

    Example: [bold]pointsman experiments rm checkout-canary[/]
    """

    def change(documents: Documents) -> tuple[Documents, str]:
        text_of(name, documents)
        left = {each: text for each, text in documents.experiments.items() if each != name}
        return msgspec.structs.replace(documents, experiments=left), f"rm experiments.{name}"

    _write(change, redis_url, who)


@experiments.command("enable")
def enable(name: Name, redis_url: RedisUrl = None, who: Who = None) -> None:
    """Let an experiment assign requests to its arms: state running.

    Example: [bold]pointsman experiments enable checkout-canary[/]
    """
    _edit(name, _switch("running"), redis_url, who)


@experiments.command("disable")
def disable(name: Name, redis_url: RedisUrl = None, who: Who = None) -> None:
    """Let an experiment assign nobody, and keep what was learned: state paused.

    Requests go on to the next route, also of users who were in an arm.

    Example: [bold]pointsman experiments disable checkout-canary[/]
    """
    _edit(name, _switch("paused"), redis_url, who)


for _command in COMMANDS:
    experiments.command()(_command)


# ── reports ────────────────────────────────────────────────────────────────


@experiments.command("report")
def report(
    name: Name,
    as_json: Json = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw it: .svg or .png.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every 2 seconds.")] = False,
    redis_url: RedisUrl = None,
) -> None:
    """Say what an experiment has shown: arms, intervals, whether the split is sound, advice.

    Intervals hold at all times at once, so looking often does no harm.

    Examples: [bold]pointsman experiments report checkout-canary[/],
    [bold]pointsman experiments report checkout-canary --json --plot canary.svg[/]
    """
    # It loads scipy, which takes a third of a second, and no other command needs it.
    from sidecar import cli_experiment_report as reports  # noqa: PLC0415

    if not watch:
        reports.report(name, as_json=as_json, plot=plot, redis_url=redis_url)
    elif as_json or plot is not None:
        raise typer.BadParameter("--watch is for a terminal: not with --json or --plot")
    else:
        reports.watch(name, redis_url)


# ── documents, changed and checked ─────────────────────────────────────────


def _edit(name: str, edit: Edit, redis_url: str | None, who: str | None) -> None:
    def change(documents: Documents) -> tuple[Documents, str]:
        text_of(name, documents)
        new, done = edited(documents, name, edit)
        return new, f"experiments.{name}: {done}"

    _write(change, redis_url, who)


def _switch(state: str) -> Edit:
    def edit(_name: str, document: Document) -> str:
        document["state"] = state
        return f"state {state}"

    return edit


def _write(change: Change, redis_url: str | None, who: str | None, *, force: bool = False) -> None:
    """Change the documents, check all of them, and write them at once."""
    policy = policy_of(Settings.read(os.environ, redis_url=redis_url))

    async def write(store: RedisStore) -> int:
        stored = await store.load()
        documents, done = change(stored.documents)
        documents = consistent(documents, stored, force=force)
        compile_snapshot(documents, version=0, policy=policy)
        return await store.apply(documents, based_on=stored, who=who or user(), what=done)

    report_live(with_store(write, redis_url))


def text_of(name: str, documents: Documents) -> bytes:
    """Return the text of a document. Raises ConfigError, naming the nearest names."""
    known = documents.experiments
    if name not in known:
        like = nearest(name, sorted(known)) if known else "there is none yet"
        raise ConfigError([Fault(f"experiments.{name}", f"is not there; {like}")])
    return known[name]


def _input(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        _err.print(f"✗ {file}: {error.strerror}", markup=False)
        raise typer.Exit(1) from None


def print_json(value: Any) -> None:
    """Print it as JSON that people can read too."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
