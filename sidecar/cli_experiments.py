"""`pointsman experiments …`: the documents, their switches, and what was learned."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from sidecar.cli_completion import names_of
from sidecar.cli_documents import add_documents
from sidecar.cli_output import plain, print_json, print_table
from sidecar.cli_rollout import COMMANDS
from sidecar.cli_store import Json, RedisUrl
from sidecar.config.documents import Documents
from sidecar.config.faults import nearest
from sidecar.errors import UnknownDocument

experiments = typer.Typer(
    name="experiments",
    help="Experiments: documents, switches, reports.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Name = Annotated[
    str,
    typer.Argument(help="The experiment's name.", autocompletion=names_of("experiments")),
]


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
        table.add_row(Text(plain(row["name"])), *(Text(plain(str(cell))) for cell in cells))
    print_table(table)


add_documents(experiments, "experiments")
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


def text_of(name: str, documents: Documents) -> bytes:
    """Return the text of a document. Raises UnknownDocument, naming the nearest names."""
    known = documents.experiments
    if name not in known:
        like = nearest(name, sorted(known)) if known else "there is none yet"
        raise UnknownDocument(f"experiments.{name} is not there; {like}")
    return known[name]
