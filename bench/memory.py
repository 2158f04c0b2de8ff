"""What many routes cost: memory of a worker, and the time until an edit is live."""

from bench.edits import REACH_MS, follow, rows
from bench.env import Env
from bench.load import closed_loop, request
from bench.rules import body, routes_by_model, ten_routes
from bench.system import DECIDED, DECISION, System
from bench.table import Row, shown
from sidecar.demo import start

ROUTES = 10_000
REACH_MIB = 120.0
EDITS, GAP = 12, (0.5, 0.6)


async def bench_memory(env: Env) -> list[Row]:
    """Measure the largest worker after load, and again after edits: rules are compiled aside."""
    with start("bench", fast=True) as model:
        with System(ten_routes(model.address)) as system:
            few = await _after_load(env, system)
        with System(routes_by_model(model.address, ROUTES)) as system:
            many = await _after_load(env, system)
            followed = await follow(env, system, EDITS, GAP)
            edited = system.worker_mib()
    what = f"memory of a worker, {ROUTES:,} routes"
    return [
        Row.at_most(f"{what}, after load", many, REACH_MIB, "MiB"),
        Row.at_most(f"{what}, after {EDITS} edits", edited, REACH_MIB, "MiB"),
        Row("memory of a worker, 10 routes, after load", shown(few, "MiB")),
        *rows(followed, f"2 workers, {ROUTES:,} routes", REACH_MS),
    ]


async def _after_load(env: Env, system: System) -> float:
    """Return the MiB of the largest worker after requests for all kinds of models."""
    asked = [request(DECIDED, body(model=f"model-{place}")) for place in range(0, ROUTES, 7)]
    result = await closed_loop(system.address, asked, seconds=env.seconds, header=DECISION)
    env.say(str(result))
    return system.worker_mib()
