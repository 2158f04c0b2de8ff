"""What a decision adds to a request's time, by the size of its body."""

from statistics import median

from bench.env import Env
from bench.load import closed_loop, request
from bench.pairs import PAIRS, Spread
from bench.rules import body, ten_routes
from bench.system import DECIDED, DECISION, UNDECIDED, System
from bench.table import Row, shown
from sidecar.demo import start

KIB, MIB = 2**10, 2**20
SIZES = {"250 B": 250, "64 KiB": 64 * KIB, "256 KiB": 256 * KIB, "1 MiB": MIB}
REACH_MS_PER_MIB = 3.0

Added = dict[str, list[float]]
"""Size → added milliseconds, one figure for each round."""


async def bench_body(env: Env) -> list[Row]:
    """Send bodies one after the other on one connection, without and with a rule on the prompt."""
    rows = []
    with start("bench", fast=True) as model:
        for read_prompt, which in ((False, "no rule"), (True, "a rule")):
            with System(ten_routes(model.address, read_prompt=read_prompt)) as system:
                added = await _measure(env, system)
            rows += _rows(added, f"{which} reads the prompt")
    return rows


async def _measure(env: Env, system: System) -> Added:
    """Return what is added; all sizes are in each round, so that a round can be compared."""
    added: Added = {size: [] for size in SIZES}
    for _ in range(PAIRS):
        for name, size in SIZES.items():
            decided = await _milliseconds(env, system, DECIDED, size)
            plain = await _milliseconds(env, system, UNDECIDED, size)
            added[name].append(decided - plain)
            env.say(f"{name}: decided {decided:.3f} ms, undecided {plain:.3f} ms")
    return added


async def _milliseconds(env: Env, system: System, path: str, size: int) -> float:
    """Return the median latency. Raises RuntimeError unless every answer is as it should be."""
    result = await closed_loop(
        system.address, [request(path, body(size))],
        connections=1, seconds=env.seconds / 6, header=DECISION,
    )  # fmt: skip
    expected = result.answers if path == DECIDED else 0
    if result.carried != expected or result.statuses[200] != result.answers:
        raise RuntimeError(f"{path} with {size} bytes: {result}")
    return median(result.latencies) * 1e3


def _rows(added: Added, which: str) -> list[Row]:
    smallest, *_, largest = SIZES
    mib = (SIZES[largest] - SIZES[smallest]) / MIB
    pairs = zip(added[smallest], added[largest], strict=True)
    growth = Spread.of((large - small) / mib for small, large in pairs)
    by_size = (f"{name}: {shown(median(figures), 'ms')}" for name, figures in added.items())
    return [
        Row.at_most(
            f"added time per MiB of body; {which}",
            growth.median, REACH_MS_PER_MIB, "ms", note=growth.range,
        ),
        Row(f"added time by size; {which}", ", ".join(by_size)),
    ]  # fmt: skip
