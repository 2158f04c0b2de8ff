"""What the admin address costs: decisions beside a busy API and consoles, and a scrape."""

import asyncio
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from bench.env import Env
from bench.load import closed_loop, even, open_loop, request
from bench.pairs import Spread, pairs_of
from bench.result import Result
from bench.rules import Json, backends, body, ten_routes
from bench.system import DECIDED, DECISION, SETTLE_SECONDS, System
from bench.table import Row, shown
from sidecar.demo import start

RATE = 500
API_RATE, CONSOLES = 50, 3
REACH_RATIO = 1.10
REACH_METRICS_MS = 200.0
BACKENDS = 1000
SCRAPES = 7
ROUNDS = 7
"""More than other benchmarks: a p99 of one run is of few requests."""

API_PATHS = ("stats", "decisions?limit=20", "backends", "routes", "stats/series", "me")
CONSOLE_PATHS = {"stats": 2.0, "stats/series": 10.0, "decisions?limit=50": 5.0}
"""What an open console asks for, and how often in seconds."""

_LONGEST_SECONDS = 600.0


async def bench_admin(env: Env) -> list[Row]:
    """Measure decisions with and without traffic at the admin address, and then a scrape."""
    with start("bench", fast=True) as model:
        with System(ten_routes(model.address)) as system:
            rows = _rows(await _measure(env, system))
        with System(_many(model.address)) as system:
            rows.append(await _scrape(env, system))
    return rows


# ── decisions beside the API ───────────────────────────────────────────────


class _Pair(NamedTuple):
    busy: Result
    quiet: Result


async def _measure(env: Env, system: System) -> list[_Pair]:
    async def quiet(seconds: float) -> Result:
        asked = [request(DECIDED, body())]
        result = await open_loop(system.address, asked, even(RATE, seconds), header=DECISION)
        await asyncio.sleep(SETTLE_SECONDS)
        env.say(f"{result}")
        return result

    async def busy() -> Result:
        async with _asked(str(system.local.settings.admin)):
            env.say(f"with {API_RATE} API requests/s and {CONSOLES} consoles")
            return await quiet(env.seconds)

    await quiet(0.5)
    return [_Pair(*one) for one in await pairs_of(busy, lambda: quiet(env.seconds), ROUNDS)]


@asynccontextmanager
async def _asked(admin: str) -> AsyncIterator[None]:
    """Have another process ask: reading answers must not delay the requests that are timed.

    Raises OSError when the API refuses what is asked.
    """
    for path in (*API_PATHS, *CONSOLE_PATHS):
        await asyncio.to_thread(_fetch, f"http://{admin}/api/v1/{path}")
    client = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.admin", admin)
    try:
        await asyncio.sleep(SETTLE_SECONDS)
        yield
        if client.returncode is not None:
            raise RuntimeError(f"the API's client ended with {client.returncode}")
    finally:
        if client.returncode is None:
            client.kill()
        await client.wait()


async def ask(admin: str) -> None:
    """Ask the API at its rate, and as the consoles do, until killed."""
    paths = [_get(admin, path) for path in API_PATHS]
    runs = [open_loop(admin, paths, even(API_RATE, _LONGEST_SECONDS), connections=4)]
    for path, seconds in CONSOLE_PATHS.items():
        asked = [_get(admin, path)]
        runs += [
            open_loop(admin, asked, _every(seconds, console / CONSOLES), connections=1)
            for console in range(CONSOLES)
        ]
    await asyncio.gather(*runs)


def _get(admin: str, path: str) -> bytes:
    return request(f"/api/v1/{path}", headers={"host": admin}, method="GET")


def _every(seconds: float, offset: float) -> Iterator[float]:
    at = offset * seconds
    while at < _LONGEST_SECONDS:
        yield at
        at += seconds


def _rows(runs: list[_Pair]) -> list[Row]:
    quantiles = [(busy.quantile(0.99), quiet.quantile(0.99)) for busy, quiet in runs]
    ratio = Spread.of(busy / quiet for busy, quiet in quantiles)
    busy, quiet = (Spread.of(side).median * 1e3 for side in zip(*quantiles, strict=True))
    undecided = sum(run.answers - run.carried for pair in runs for run in pair)
    return [
        Row.at_most(
            f"latency p99 at {RATE}/s, {API_RATE} API requests/s and {CONSOLES} consoles / neither",
            ratio.median, REACH_RATIO,
            note=f"{ratio.range}; {shown(busy)} / {shown(quiet, 'ms')}, {undecided} undecided",
        )
    ]  # fmt: skip


# ── a scrape ───────────────────────────────────────────────────────────────


def _many(address: str) -> Json:
    names = [f"backend-{place}" for place in range(BACKENDS)]
    router = {"type": "random", "targets": names}
    return {"backends": backends(address, names), "routes": {"all": {"router": router}}}


async def _scrape(env: Env, system: System) -> Row:
    """Let all backends answer, and scrape."""
    asked = [request(DECIDED, body())]
    result = await closed_loop(system.address, asked, seconds=max(env.seconds, 3.0))
    await asyncio.sleep(2 * SETTLE_SECONDS)
    env.say(f"{BACKENDS} backends: {result}")
    url = f"http://{system.local.settings.admin}/metrics"
    runs = [await asyncio.to_thread(_fetch, url) for _ in range(SCRAPES)]
    took = Spread.of(seconds * 1e3 for seconds, _ in runs)
    size, lines = len(runs[-1][1]) / 2**20, runs[-1][1].count(b"\n")
    return Row.at_most(
        f"/metrics, {BACKENDS:,} backends", took.median, REACH_METRICS_MS, "ms",
        note=f"{took.range}; {size:.1f} MiB, {lines:,} lines",
    )  # fmt: skip


def _fetch(url: str) -> tuple[float, bytes]:
    begun = time.perf_counter()
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: bytes = answer.read()
    return time.perf_counter() - begun, text


if __name__ == "__main__":
    asyncio.run(ask(sys.argv[1]))
