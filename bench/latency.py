"""How much later an answer comes when its request was decided, at a rate that is no strain."""

from bench.env import Env
from bench.load import even, open_loop, request
from bench.pairs import Spread, pairs_of
from bench.result import Result
from bench.rules import body, ten_routes
from bench.system import DECIDED, DECISION, UNDECIDED, System
from bench.table import Row, shown
from sidecar.demo import start

RATE = 500
REACH_MS = {0.5: 0.8, 0.99: 5.0}
"""Quantile → how many milliseconds may be added to it."""


async def bench_latency(env: Env) -> list[Row]:
    """Compare quantiles of decided and undecided requests, pair by pair."""
    with start("bench", fast=True) as model, System(ten_routes(model.address)) as system:
        runs = await _measure(env, system)
    return [row for share, reach in REACH_MS.items() for row in _rows(runs, share, reach)]


async def _measure(env: Env, system: System) -> list[tuple[Result, Result]]:
    async def run(path: str, seconds: float) -> Result:
        result = await open_loop(
            system.address, [request(path, body())], even(RATE, seconds), header=DECISION
        )
        env.say(f"{path}: {result}")
        return result

    for path in (DECIDED, UNDECIDED):
        await run(path, 0.5)
    return await pairs_of(lambda: run(DECIDED, env.seconds), lambda: run(UNDECIDED, env.seconds))


def _rows(runs: list[tuple[Result, Result]], share: float, reach: float) -> list[Row]:
    name = f"p{share * 100:.0f}"
    pairs = [(one.quantile(share) * 1e3, other.quantile(share) * 1e3) for one, other in runs]
    added = Spread.of(decided - plain for decided, plain in pairs)
    decided, plain = (Spread.of(side).median for side in zip(*pairs, strict=True))
    return [
        Row.at_most(
            f"added latency, {name} at {RATE}/s", added.median, reach, "ms", note=added.range
        ),
        Row(f"latency, {name} at {RATE}/s", f"decided {shown(decided, 'ms')}, "
            f"undecided {shown(plain, 'ms')}"),
    ]  # fmt: skip
