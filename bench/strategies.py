"""Every router type: what it adds to `decide()`, and what is left of the throughput."""

import asyncio
from collections.abc import Sequence
from typing import Any

from bench.decide import Cost, cost
from bench.env import Env
from bench.load import closed_loop, request
from bench.pairs import Spread, pairs_of
from bench.rules import backends, body
from bench.system import DECIDED, DECISION, SETTLE_SECONDS, System
from bench.table import Row
from sidecar import facts
from sidecar.choose import STRATEGIES
from sidecar.choose.bandit import bandits_in
from sidecar.choose.buckets import MISSING
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.decide import decide
from sidecar.demo import start
from sidecar.model import (
    BackendStats,
    Entropy,
    InferenceRequest,
    Odds,
    Snapshot,
    Stats,
    Window,
    WindowStats,
)

Json = dict[str, Any]

TARGETS, FEW = 10, 2
"""Targets of a router: when `decide()` is timed, and under load, where every further attempt in a
plan would be measured as well."""
EXPERIMENTS = 100
REACH_US = {"script": 250.0, "expr": 100.0}
REACH_ANY_US = 60.0
REACH_RATIO = 0.95
PAIRS = 3
CONNECTIONS = 32
_HEADERS = {
    "x-user-id": "bench",
    "x-session-id": "7f3a",
    "x-region": "eu-west-1",
    "authorization": "Bearer bench",
}
_NOW = 1.8e9
_SCRIPT = """
const route = ({ models }) => models
  .filter(m => m.price.per_input_token < 1)
  .sort((a, b) => a.price.per_input_token - b.price.per_input_token)[0].model;
"""


def router(kind: str, targets: Sequence[str]) -> Json:
    """Return a router of type ``kind`` over ``targets`` that has to work for its choice."""
    even, names = [1.0] * len(targets), list(targets)
    own: dict[str, Json] = {
        "percentage": {"targets_percentages": even, "key": "user.id"},
        "optimized": {"metric": "ttft"},
        "score": {"weights": {"ttft": 1, "cost": 2, "in_flight": 1}, "max_latency_ms": 9000},
        "round_robin": {"weights": even},
        "sticky": {"key": "user.id"},
        "nearest": {"preference": {"us": ["eu-west-1"]}},
        "schedule": {"periods": [{"hours": "00:00-00:01", "target": names[0]}]},
        "conditional": {
            "routes": [
                {"conditions": {"extra.user.tier": {"$eq": name}}, "targets": name}
                for name in names[:-1]
            ]
            + [{"name": "else", "targets": {"$any": names, "sort_by": "ttft"}}]
        },
        "script": {"script": _SCRIPT},
        "bandit": {"context": "user.tenant"},
    }
    if kind == "experiment":
        return {"type": kind, "experiment": "tested"}
    return {"type": kind, "targets": names, **own.get(kind, {})}


def experiments(targets: Sequence[str]) -> Json:
    """Return experiments that run, of which one is asked: the others must cost nothing."""
    names = list(targets)
    chains = {"control": names, "candidate": names[::-1]}
    arms = [
        {"name": name, "share": 50, "router": {"type": "fallback", "targets": chain}}
        for name, chain in chains.items()
    ]
    document = {"arms": arms, "state": "running", "key": "user.id"}
    beside = {f"beside-{place}": document for place in range(EXPERIMENTS - 1)}
    return {"tested": document, **beside}


def rules(address: str, count: int) -> Json:
    """Return documents with a route per router type, for the model of the type's name."""
    pool = backends(address, [f"model-{place}" for place in range(count)])
    for place, document in enumerate(pool.values()):
        document["price"] = {"per_input_token": 1e-6 * (place + 1), "per_output_token": 2e-6}
        document["region"] = f"eu-west-{place}"
    routes = {
        kind: {"order": 1, "match": {"model": kind}, "router": router(kind, list(pool))}
        for kind in kinds()
    }
    routes["expr"] = {
        "order": 2,
        "match": {"model": "expr", "expr": 'user.id == "bench" && !(stream)'},
        "router": router("fallback", list(pool)),
    }
    return {"backends": pool, "routes": routes, "experiments": experiments(list(pool))}


def kinds() -> list[str]:
    """Return the router types, each once."""
    return sorted({definition.names[0] for definition in STRATEGIES.values()})


async def bench_strategies(env: Env) -> list[Row]:
    """Time `decide()` for each type, then compare each with `fallback` under load."""
    return [*_timed(env), *await _loaded(env)]


def _timed(env: Env) -> list[Row]:
    snapshot = compile_snapshot(Documents.of(rules("model:1", TARGETS)), version=1)
    rows = []
    for kind in [*kinds(), "expr"]:
        env.say(f"decide() with {kind}")
        spent = _cost(snapshot, kind, env.seconds / 4)
        reach = REACH_US.get(kind, REACH_ANY_US)
        what = f"decide(), {kind}, {TARGETS} targets"
        rows.append(Row.at_most(what, spent.quickest, reach, "µs", note=spent.note))
    return rows


def _cost(snapshot: Snapshot, kind: str, seconds: float) -> Cost:
    stats, entropy = _stats(snapshot), Entropy(7)

    def work(rules: Snapshot, asked: InferenceRequest) -> None:
        decide(rules, stats, asked, entropy, _NOW)

    def read(content: bytes) -> InferenceRequest:
        return facts.read(DECIDED, _HEADERS, content)

    return cost(work, snapshot, [body(model=kind)] * 100, seconds, prepare=read)


def _stats(snapshot: Snapshot) -> Stats:
    """Return statistics of a minute in which every backend did something else."""
    window: Window = "1m"
    rising = [float(place + 1) for place in range(TARGETS)]
    odds = Odds(tuple(each / sum(rising) for each in rising), tuple(rising))
    bandits = (one for route in snapshot.route_list for one in bandits_in(route.router))
    return Stats(
        bandits={one.key: {MISSING: odds} for one in bandits},
        backends={
            name: BackendStats(
                {window: WindowStats(9, 0, 300.0 + 37 * place % 11, 30.0 + 7 * place % 5, 50.0)},
                in_flight=place % 3,
            )
            for place, name in enumerate(snapshot.backends)
        },
    )


async def _loaded(env: Env) -> list[Row]:
    with start("bench", fast=True) as model, System(rules(model.address, FEW)) as system:

        async def rate(kind: str) -> float:
            content = request(DECIDED, body(model=kind), _HEADERS)
            result = await closed_loop(
                system.address, [content],
                connections=CONNECTIONS, seconds=env.seconds / 2, header=DECISION,
            )  # fmt: skip
            await asyncio.sleep(SETTLE_SECONDS)
            return result.rate

        await rate("fallback")
        rows = []
        for kind in kinds():
            env.say(f"load on {kind}")
            pairs = await pairs_of(lambda k=kind: rate(k), lambda: rate("fallback"), PAIRS)
            ratio = Spread.of(one / plain for one, plain in pairs)
            rows.append(_judged(kind, ratio))
    return rows


def _judged(kind: str, ratio: Spread) -> Row:
    what = f"throughput, {kind} / fallback"
    if kind == "script":
        return Row(what, f"{ratio.median:.3f} ({ratio.range})")
    return Row.at_least(what, ratio.median, REACH_RATIO, note=ratio.range)
