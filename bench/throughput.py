"""Decided requests against undecided ones through the same Envoy, as fast as they go."""

import asyncio
from statistics import median
from typing import NamedTuple

from bench.env import Env
from bench.load import closed_loop, request
from bench.pairs import Spread, pairs_of
from bench.result import Result
from bench.rules import body, ten_routes
from bench.system import DECIDED, DECISION, SETTLE_SECONDS, UNDECIDED, Cpu, System
from bench.table import Row
from sidecar.demo import start

CONNECTIONS = 32
REACH_RATIO, REACH_SIDECAR_US, REACH_FAILED_OPEN = 0.60, 220.0, 0.0005
ONE_THREAD = ("--concurrency", "1")


class Run(NamedTuple):
    """One run and the microseconds of CPU that each of its requests took."""

    result: Result
    cpu: Cpu


async def bench_throughput(env: Env) -> list[Row]:
    """Compare with Envoy as `pointsman up` starts it, then with one thread."""
    with start("bench", fast=True) as model:
        documents = ten_routes(model.address)
        with System(documents) as system:
            runs = await _measure(env, system)
        with System(documents, envoy=ONE_THREAD) as system:
            single = await _measure(env, system)
    return [*_judged(runs), *_told(runs, "Envoy as it comes"), *_told(single, "Envoy, 1 thread")]


async def _measure(env: Env, system: System) -> list[tuple[Run, Run]]:
    """Return pairs of a decided and an undecided run."""

    async def run(path: str, seconds: float) -> Run:
        before = system.cpu()
        result = await closed_loop(
            system.address, [request(path, body())],
            connections=CONNECTIONS, seconds=seconds, header=DECISION,
        )  # fmt: skip
        # The access log of the last requests is work of theirs, and must not slow the next run.
        await asyncio.sleep(SETTLE_SECONDS)
        cpu = system.cpu().since(before, result.answers)
        env.say(f"{path}: {result}, CPU us/request: {cpu}")
        return Run(result, cpu)

    for path in (DECIDED, UNDECIDED):
        await run(path, 0.5)
    return await pairs_of(lambda: run(DECIDED, env.seconds), lambda: run(UNDECIDED, env.seconds))


def _ratio(runs: list[tuple[Run, Run]]) -> Spread:
    return Spread.of(decided.result.rate / plain.result.rate for decided, plain in runs)


def _failed_open(runs: list[tuple[Run, Run]]) -> tuple[int, int]:
    """Return how many answers were not decided, errors and broken connections included, of all."""
    results = [decided.result for decided, _ in runs]
    asked = sum(each.answers + each.broken + each.lost for each in results)
    return asked - sum(each.carried for each in results), asked


def _judged(runs: list[tuple[Run, Run]]) -> list[Row]:
    ratio, (open_, asked) = _ratio(runs), _failed_open(runs)
    cpu = Spread.of(decided.cpu.sidecar for decided, _ in runs)
    return [
        Row.at_least(
            "throughput, decided / undecided", ratio.median, REACH_RATIO, note=ratio.range
        ),
        Row.at_most(
            "CPU of the sidecar per request", cpu.median, REACH_SIDECAR_US, "µs", note=cpu.range
        ),
        Row.at_most(
            "decided requests without a decision", 100 * open_ / asked,
            100 * REACH_FAILED_OPEN, "%", note=f"{open_} of {asked:,}",
        ),
    ]  # fmt: skip


def _told(runs: list[tuple[Run, Run]], which: str) -> list[Row]:
    """Return what is behind the judged figures."""
    ratio, (open_, asked) = _ratio(runs), _failed_open(runs)
    sides = {"decided": [run for run, _ in runs], "undecided": [run for _, run in runs]}
    rates = {name: median(run.result.rate for run in side) for name, side in sides.items()}
    cpus = {name: _cpu(side) for name, side in sides.items()}
    return [
        Row(
            f"requests/s; {which}",
            ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
            + f", ratio {ratio.median:.3f} ({ratio.range}), {open_} of {asked:,} not decided",
        ),
        Row(
            f"CPU µs/request, Envoy + workers + control; {which}",
            ", ".join(f"{name} {cpu}" for name, cpu in cpus.items()),
        ),
    ]


def _cpu(side: list[Run]) -> str:
    envoy, sidecar, workers = (
        median(column) for column in zip(*(r.cpu for r in side), strict=True)
    )
    return f"{envoy:.0f} + {workers:.0f} + {sidecar - workers:.0f}"
