"""`pointsman whatif` and `pointsman decisions export`: learning from the logs."""

import asyncio
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from sidecar.cli_output import Progress, err, fail, out, print_json, working
from sidecar.cli_store import Json, RedisUrl
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar.whatif import Comparison, Difference, Move
    from sidecar.whatif.answer import WhatIf
    from sidecar.whatif.reward import Estimates

decisions = typer.Typer(
    name="decisions",
    help="The log of decisions.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

LIMIT, MOST = 10_000, 100_000
"""As in `sidecar.app.whatif`, which takes a second to load."""
MOST_MOVES = 20
EXPORT_SECONDS = 3600.0
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_duration = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd])").fullmatch

Since = Annotated[str, typer.Option("--since", help="How far back: 90s, 30m, 24h, 7d.")]


def whatif(
    config: Annotated[
        Path, typer.Option("--config", help="The candidate: a file that `apply` takes.")
    ],
    since: Since = "24h",
    limit: Annotated[
        int,
        typer.Option("--limit", min=1, max=MOST, help="At most so many requests, newest."),
    ] = LIMIT,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            help="Estimate it under the candidate: success, error_rate, latency_ms, ttft_ms, "
            "cost_usd, input_tokens, output_tokens, or the name of feedback.",
        ),
    ] = None,
    redis_url: RedisUrl = None,
    as_json: Json = False,
) -> None:
    """Replay recorded requests through another configuration: what would be decided otherwise.

    Both configurations decide the same requests with the same draws and the statistics of now.
    Nothing is changed and nothing is sent.

    Example: [bold]pointsman whatif --config candidate.json --since 24h --metric success[/]
    """
    from sidecar.app import whatif as asking  # noqa: PLC0415 - it loads scipy
    from sidecar.config import files  # noqa: PLC0415

    documents = files.load(config)
    settings = Settings.read(os.environ, redis_url=redis_url)
    asked = asking.Question(msgspec.Raw(documents.to_json()), _seconds(since), limit, metric)
    asking.log_warnings(settings)
    with working("Replaying") as progress:
        found = asking.run(settings, asked, progress)
    if as_json:
        print_json(found)
    else:
        _show(found)


@decisions.command("export")
def export(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file: .parquet, .jsonl or .csv.")
    ],
    since: Since = "24h",
    redis_url: RedisUrl = None,
) -> None:
    """Write decisions and what came of them into a file, newest first.

    Example: [bold]pointsman decisions export --output decisions.parquet --since 7d[/]
    """
    settings = Settings.read(os.environ, redis_url=redis_url)
    begin = time.time() - _seconds(since)
    if output.suffix.lower() not in {".parquet", ".jsonl", ".csv"}:
        raise typer.BadParameter(f"--output {output}: legal are .parquet, .jsonl and .csv")
    if not output.parent.is_dir():
        fail(f"{output.parent}: no such folder", 1)
    with working("Decisions") as progress:
        count = asyncio.run(_export(settings, begin, output, progress))
    err().print(f"[green]✓[/] {count:,} decisions in {output}")


async def _export(settings: Settings, begin: float, output: Path, progress: Progress) -> int:
    from sidecar.app import export as exporting  # noqa: PLC0415 - it loads scipy
    from sidecar.config.redis_client import answering, connect, place  # noqa: PLC0415

    async with (
        connect(settings.store_url(), settings.prefix) as redis,
        answering(place(settings.store_url()), EXPORT_SECONDS),
    ):
        return await exporting.export(redis, settings.prefix, begin, output, progress)


def _seconds(text: str) -> float:
    found = _duration(text)
    if found is None:
        raise typer.BadParameter(f"--since {text!r} is not a time such as 90s, 30m, 24h or 7d")
    return float(found[1]) * _SECONDS[found[2]]


# ── what it looks like ─────────────────────────────────────────────────────


def _show(found: "WhatIf") -> None:
    console = out()
    compared = found.comparison
    for title, moves in (("route", compared.routes), ("backend", compared.backends)):
        changed = [move for move in moves if move.before != move.after]
        if changed:
            console.print(_moves(title, changed, compared.compared))
    console.print(_figures(compared))
    if found.estimates is not None:
        console.print(_estimates(found.estimates))
    for fact, n in compared.cannot_tell.items():
        console.print(Text.assemble(("? ", "yellow"), f"{n:,} requests need {fact}: not recorded"))
    console.print(Text(found.sentence, style="bold"))


def _moves(title: str, moves: "Iterable[Move]", n: int) -> Table:
    table = Table(f"{title} now", "then", "requests", "share")
    listed = [*moves]
    for move in listed[:MOST_MOVES]:
        share = f"{move.n / n:.1%}"
        table.add_row(Text(move.before), Text(move.after), f"{move.n:,}", share)
    rest = sum(move.n for move in listed[MOST_MOVES:])
    if rest:
        table.add_row("…", "…", f"{rest:,}", f"{rest / n:.1%}")
    return table


def _figures(found: "Comparison") -> Table:
    table = Table("", "now", "then", "difference", "requests")
    rows = (("cost per request, $", found.cost_usd), ("latency, ms", found.latency_ms))
    for name, one in rows:
        table.add_row(name, *_cells(one))
    for name, codes in (("warnings", found.warnings), ("refusals", found.refusals)):
        for code in sorted({*codes.before, *codes.after}):
            before, after = codes.before.get(code, 0), codes.after.get(code, 0)
            table.add_row(Text(f"{name}: {code}"), str(before), str(after), f"{after - before:+}")
    shift = found.shift
    for name in sorted({*shift.before, *shift.after}):
        now, then = (100 * one.get(name, 0.0) for one in (shift.before, shift.after))
        cells = (f"{now:.1f} %", f"{then:.1f} %", f"{then - now:+.1f}", f"{shift.n:,}")
        table.add_row(Text(f"probability of {name}"), *cells)
    if found.recalled:
        agree = f"{found.reproduced / found.recalled:.1%}"
        table.add_row("decided now as then", agree, "", "", f"{found.recalled:,}")
    return table


def _cells(one: "Difference") -> tuple[str, str, str, str]:
    if one.before is None or one.after is None or one.difference is None:
        return ("?", "?", "?", f"0 of {one.unknown:,}")
    figures = (f"{one.before:.6g}", f"{one.after:.6g}", f"{one.difference:+.6g}")
    return (*figures, f"{one.n:,} of {one.n + one.unknown:,}")


def _estimates(found: "Estimates") -> Table:
    logged = "?" if found.logged is None else f"{found.logged:.4g}"
    table = Table(f"{found.metric} (now {logged})", "estimate", "95 %", "worth decisions")
    for one in found.candidate:
        if one.estimate is None:
            table.add_row(one.method, "cannot tell", Text(one.cannot_tell or ""), "")
        else:
            interval = f"{one.low:.4g} to {one.high:.4g}"
            table.add_row(one.method, f"{one.estimate:.4g}", interval, f"{one.effective:,.0f}")
    for reason, n in found.excluded.items():
        table.add_row("left out", f"{n:,}", Text(reason), "")
    return table
