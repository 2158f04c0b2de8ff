"""`python -m bench`: run benchmarks, print their table, write it to bench/RESULTS.md.

A benchmark is ``async def bench_x(env: Env) -> list[Row]`` and one line in BENCHMARKS. Its module
is imported when it runs, so that one that is broken stops only itself.
"""

import argparse
import asyncio
import importlib
import sys
import traceback
from pathlib import Path

import uvloop

from bench import table
from bench.env import Benchmark, Env
from bench.table import Row

BENCHMARKS = {
    "throughput": "bench.throughput:bench_throughput",
    "latency": "bench.latency:bench_latency",
    "decide": "bench.decide:bench_decide",
    "strategies": "bench.strategies:bench_strategies",
    "body": "bench.body:bench_body",
    "edits": "bench.edits:bench_edits",
    "memory": "bench.memory:bench_memory",
    "streaming": "bench.streaming:bench_streaming",
    "outcomes": "bench.outcomes:bench_outcomes",
    "running": "bench.running:bench_running",
    "admin": "bench.admin:bench_admin",
    "client": "bench.client:bench_client",
}
"""Name → module:function, in the order of the table."""

RESULTS = Path(__file__).parent / "RESULTS.md"


def load(where: str) -> Benchmark:
    """Import ``module:function``."""
    module, _, function = where.partition(":")
    made: Benchmark = getattr(importlib.import_module(module), function)
    return made


async def run(names: list[str], env: Env) -> list[Row]:
    """Run benchmarks one after the other; one that fails is a row of its own."""
    rows: list[Row] = []
    for name in names:
        env.say(f"{name} …")
        try:
            rows += await load(BENCHMARKS[name])(env)
        except Exception as error:  # noqa: BLE001 - the others' figures are worth having
            traceback.print_exc()
            rows.append(Row(name, f"failed: {error!r}", "", table.FAILED))
    return rows


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser("python -m bench", description="Benchmarks.")
    made.add_argument(
        "--only", action="append", choices=BENCHMARKS, metavar="NAME",
        help=f"run this one; may be given again: {', '.join(BENCHMARKS)}",
    )  # fmt: skip
    made.add_argument("--seconds", type=float, default=2.0, help="length of one measurement")
    made.add_argument("--write", type=Path, metavar="FILE", help=f"default with all: {RESULTS}")
    return made


def main() -> int:
    """Run what was asked for. Returns 1 when a benchmark failed; a missed mark fails nothing."""
    options = parser().parse_args()
    names = options.only or list(BENCHMARKS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(run(names, Env(options.seconds)))
    print(table.aligned(rows))
    path = options.write or (None if options.only else RESULTS)
    if path:
        table.write(path, rows, " ".join(["python -m bench", *sys.argv[1:]]))
    return int(any(row.verdict == table.FAILED for row in rows))


if __name__ == "__main__":
    sys.exit(main())
