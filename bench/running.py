"""Throughput through Envoy with a hundred running experiments against one."""

import asyncio
from statistics import median

from bench.env import Env
from bench.load import closed_loop, request
from bench.pairs import Spread, pairs_of
from bench.result import Result
from bench.rules import Json, backends, body
from bench.system import DECIDED, DECISION, SETTLE_SECONDS, System
from bench.table import Row
from sidecar.demo import start

CONNECTIONS = 32
EXPERIMENTS = 100
USERS = 50
REACH_RATIO = 0.95
ROUNDS = 9
"""More than elsewhere: what is looked for is less than what the machine does meanwhile."""


async def bench_running(env: Env) -> list[Row]:
    """Compare two systems that run side by side and are asked in turn."""
    with start("bench", fast=True) as model:
        one, many = _documents(model.address, 1), _documents(model.address, EXPERIMENTS)
        with System(one) as few, System(many) as full:
            for system, count in ((few, 1), (full, EXPERIMENTS)):
                await _run(env, system, count, 0.5)
            runs = await pairs_of(
                lambda: _run(env, full, EXPERIMENTS, env.seconds),
                lambda: _run(env, few, 1, env.seconds),
                ROUNDS,
            )
    return _rows(runs)


def _documents(address: str, count: int) -> Json:
    """Return ``count`` running experiments, each for requests with a model name of its own."""
    arms = [{"name": name, "router": name, "share": 50} for name in ("small", "large")]
    names = [f"trial-{place}" for place in range(count)]
    return {
        "backends": backends(address, ["small", "large"]),
        "experiments": {name: {"state": "running", "arms": arms} for name in names},
        "routes": {
            name: {
                "order": place,
                "match": {"model": name},
                "router": {"type": "experiment", "experiment": name},
            }
            for place, name in enumerate(names)
        },
    }


async def _run(env: Env, system: System, count: int, seconds: float) -> Result:
    """Ask for all experiments in turn, as so many users."""
    asked = [
        request(DECIDED, body(model=f"trial-{place % count}"), {"x-user-id": f"user-{place}"})
        for place in range(max(count, USERS))
    ]
    result = await closed_loop(
        system.address, asked, connections=CONNECTIONS, seconds=seconds, header=DECISION
    )
    await asyncio.sleep(SETTLE_SECONDS)
    env.say(f"{count} experiments: {result}")
    return result


def _rows(runs: list[tuple[Result, Result]]) -> list[Row]:
    ratio = Spread.of(many.rate / one.rate for many, one in runs)
    rates = [median(run.rate for run in side) for side in zip(*runs, strict=True)]
    undecided = sum(run.answers - run.carried for pair in runs for run in pair)
    told = f"{rates[0]:,.0f} / {rates[1]:,.0f} requests/s, {undecided} not decided"
    what = f"throughput, {EXPERIMENTS} running experiments / one"
    return [Row.at_least(what, ratio.median, REACH_RATIO, note=f"{ratio.range}; {told}")]
