"""What commands need statistics for: `pointsman experiments report` and `list`.

A module of its own: scipy takes a third of a second to load.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import typer
from redis.asyncio import Redis
from rich.console import Console
from rich.live import Live

from sidecar.app.rules import open_store
from sidecar.cli_experiments import text_of
from sidecar.cli_output import print_json
from sidecar.cli_report import rendered
from sidecar.config.redis_client import answering, connect, place
from sidecar.config.trials import Trials
from sidecar.errors import ConfigError
from sidecar.model import Compilers, Experiment
from sidecar.report import Report
from sidecar.report.picture import FORMATS, draw
from sidecar.report.read import read_report
from sidecar.settings import Settings
from sidecar.telemetry.experiments import hash_key

WATCH_SECONDS = 2.0
_PIPE_COLUMNS = 120
_err = Console(stderr=True, highlight=False, soft_wrap=True)

T = TypeVar("T")


def report(name: str, *, as_json: bool, plot: Path | None, redis_url: str | None) -> None:
    """Print the report of an experiment, and draw it."""
    if plot is not None and plot.suffix not in FORMATS:
        raise typer.BadParameter(f"--plot: {plot} must end with {' or '.join(FORMATS)}")
    found = _with_redis(partial(_report, name), redis_url)
    if plot is not None:
        _draw(found, plot)
    if as_json:
        print_json(found)
    else:
        console = _console()
        console.print(rendered(found, console.width))


def watch(name: str, redis_url: str | None) -> None:
    """Show the report, and again every `WATCH_SECONDS`, until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        _with_redis(partial(_watch, name), redis_url)


def listed(redis_url: str | None) -> list[dict[str, Any]]:
    """Return a row for each experiment, wrong ones included."""
    return _with_redis(_listed, redis_url)


async def _report(name: str, redis: Redis, settings: Settings) -> Report:
    async with open_store(settings) as store:
        documents = (await store.load()).documents
    experiment = _compiled(name, text_of(name, documents))
    async with answering(place(settings.store_url())):
        return await read_report(redis, settings.prefix, experiment, time.time())


async def _watch(name: str, redis: Redis, settings: Settings) -> None:
    console = _console()
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            found = await _report(name, redis, settings)
            live.update(rendered(found, console.width), refresh=True)
            await asyncio.sleep(WATCH_SECONDS)


def _draw(found: Report, path: Path) -> None:
    try:
        draw(found, path)
    except OSError as error:
        _err.print(f"✗ {path}: {error.strerror}", markup=False)
        raise typer.Exit(1) from None
    _err.print(f"wrote {path}", markup=False)


async def _listed(redis: Redis, settings: Settings) -> list[dict[str, Any]]:
    async with open_store(settings) as store:
        documents = (await store.load()).documents
    rows = []
    for name, text in sorted(documents.experiments.items()):
        try:
            experiment = _compiled(name, text)
        except ConfigError as error:
            rows.append(_wrong_row(name, error))
            continue
        row = _row(experiment)
        row["assigned"] = await _assigned(redis, settings, experiment)
        rows.append(row)
    return rows


def _row(one: Experiment) -> dict[str, Any]:
    arms = {arm.name: arm.share for arm in one.arms}
    return {
        "name": one.name,
        "version": one.version,
        "state": one.state,
        "arms": arms,
        "assigned": 0,
        "description": one.description,
    }


def _wrong_row(name: str, error: ConfigError) -> dict[str, Any]:
    wrong = str(error.faults[0])
    return {
        "name": name,
        "version": None,
        "state": "wrong",
        "arms": {},
        "assigned": 0,
        "description": wrong,
    }


async def _assigned(redis: Redis, settings: Settings, experiment: Experiment) -> int:
    key = hash_key(settings.prefix, experiment.name, experiment.version)
    fields = [f"{arm.name}|assigned|n" for arm in experiment.arms]
    async with answering(place(settings.store_url())):
        counts = await redis.hmget(key, fields)
        return round(sum(float(count or 0) for count in counts))


def _compiled(name: str, text: bytes) -> Experiment:
    """Compile one experiment alone, without its routers: others may be wrong meanwhile."""

    def nothing(*_: object) -> Any:
        return nothing

    compilers = Compilers(nothing, nothing)
    return Trials({name: text}, compilers, nothing, pins=False).find(name, "").experiment


def _with_redis(use: Callable[[Redis, Settings], Awaitable[T]], redis_url: str | None) -> T:
    """Open a client of the settings' Redis, use it, close it."""
    settings = Settings.read(os.environ, redis_url=redis_url)

    async def opened() -> T:
        async with connect(settings.store_url(), settings.prefix) as redis:
            return await use(redis, settings)

    return asyncio.run(opened())


def _console() -> Console:
    # A pipe has no width, and whoever reads it later wants whole lines.
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_COLUMNS
    return Console(highlight=False, width=wide)
