"""A router of every type, over the same backends, in every place where a router can be."""

from functools import cache
from typing import Any

from hypothesis import strategies as st

from sidecar.choose.bandit import OTHER, bandits_in
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.model import BackendStats, Odds, Snapshot, Stats, WindowStats

TARGETS = ["small", {"model": "large", "temperature": 0.5}, "far"]

DOCUMENTS: dict[str, dict[str, Any]] = {
    "fallback": {},
    "percentage": {"targets_percentages": [5, 3, 2]},
    "a_b_testing": {"targets_percentages": [5, 3, 2], "key": "user.id"},
    "random": {},
    "latency": {"explore": 0.3},
    "optimized": {"metric": "ttft", "explore": 0.3},
    "cost": {"prefer": "fastest", "max_cost_per_token": 5e-6},
    "score": {"max_latency_ms": 2000, "weights": {"latency": 2, "cost": 1, "in_flight": 1}},
    "least_busy": {"weights": [1, 2, 1]},
    "schedule": {
        "timezone": "America/New_York",
        "periods": [
            {"weekdays": "sat-sun", "target": "far"},
            {"hours": "18:00-09:00", "target": "large"},
        ],
    },
    "conditional": {
        "pre_request": [
            {
                "name": "limit",
                "type": "rate_limiter",
                "limit": 3,
                "period": "hour",
                "target": "requests",
                "entity": "user_id",
            },
            {"name": "safe", "type": "guardrail", "guard_id": "safe"},
        ],
        "routes": [
            {
                "name": "paid",
                "conditions": {"pre_request.limit.allowed": {"eq": True}},
                "targets": {"$any": ["small", "far"], "sort_by": "ttft", "sort_order": "min"},
            },
            {
                "name": "checked",
                "conditions": {"pre_request.safe.passed": {"eq": True}},
                "targets": {"type": "random", "targets": ["small", "large"]},
            },
        ],
    },
    "bandit": {"name": "b", "context": "user.id", "algorithm": "ucb1"},
    "nearest": {"preference": {"eu": ["eu", "us"], "*": ["us"]}},
    "round_robin": {"weights": [3, 2, 1]},
    "script": {
        "script": "function route({models}) {"
        " return models[Math.floor(Math.random() * models.length)].name; }"
    },
    "session": {"scope": "global"},
    "sticky": {"key": "user.id"},
    "experiment": {"experiment": "it"},
}
"""Type → its parameters. A type of router that has no line here fails the tests: add one, with
parameters that make it draw, measure and remember whatever it can."""

BACKENDS: dict[str, dict[str, Any]] = {
    name: {
        "model": f"model-{name}",
        "provider": "demo",
        "endpoints": ["http://127.0.0.1:1"],
        "price": {"per_input_token": price, "per_output_token": 2 * price},
        "region": region,
    }
    for name, price, region in [("small", 1e-6, "eu"), ("large", 1e-5, "us"), ("far", 3e-6, "asia")]
}
GUARDS = {"safe": {"url": "http://127.0.0.1:1/check"}}
FORMS = ("alone", "in a fallback", "in a percentage", "around a random")


def router(kind: str, form: str) -> dict[str, Any]:
    """Return a router document of type ``kind``, nested as ``form`` says."""
    own = {"type": kind, "targets": TARGETS, **DOCUMENTS[kind]}
    if kind == "experiment":
        own.pop("targets")
    match form:
        case "in a fallback":
            return {"type": "fallback", "targets": [{"router": own}, "far"]}
        case "in a percentage":
            targets = ["small", {"router": own}]
            return {"type": "percentage", "targets": targets, "targets_percentages": [1, 3]}
        case "around a random":
            nested = {"router": {"type": "random", "targets": ["small", "far"]}}
            # An experiment has its arms around one.
            return own | ({"targets": [nested, *own["targets"][1:]]} if "targets" in own else {})
    return own


def experiment(form: str) -> dict[str, Any]:
    """Return an experiment that leaves some requests out, and draws arms when there is no key."""
    around = {"type": "random", "targets": ["small", "far"]}
    arms = [TARGETS[1], around if form == "around a random" else "far"]
    return {
        "arms": [
            {"name": f"arm-{place}", "router": router, "share": 40}
            for place, router in enumerate(arms)
        ],
        "state": "running",
        "missing": "random",
    }


@cache
def snapshot(kind: str, form: str) -> Snapshot:
    """Return rules whose one route decides by such a router."""
    documents = {
        "backends": BACKENDS,
        "guards": GUARDS,
        "experiments": {"it": experiment(form)},
        "routes": {"it": {"router": router(kind, form)}},
    }
    return compile_snapshot(Documents.of(documents), version=7)


windows = st.builds(
    WindowStats,
    requests=st.integers(0, 50),
    errors=st.integers(0, 5),
    latency_ms=st.none() | st.floats(1, 5000),
    ttft_ms=st.none() | st.floats(1, 5000),
    tokens_per_second=st.none() | st.floats(1, 200),
)
backend_stats = st.builds(
    BackendStats,
    windows=st.dictionaries(st.sampled_from(["1m", "15m", "total"]), windows, max_size=2),
    in_flight=st.integers(0, 20),
)
shares = st.tuples(*[st.floats(0, 1)] * len(TARGETS))
bandits = st.dictionaries(
    st.sampled_from(
        sorted(
            bandit.key
            for form in FORMS
            for route in snapshot("bandit", form).route_list
            for bandit in bandits_in(route.router)
        )
    ),
    st.dictionaries(st.sampled_from(["u1", OTHER]), st.builds(Odds, shares, shares)),
)
stats = st.builds(
    Stats,
    backends=st.dictionaries(st.sampled_from([*BACKENDS]), backend_stats),
    bandits=bandits,
    unready=st.frozensets(st.sampled_from([*BACKENDS]), max_size=2),
)
headers = st.dictionaries(
    st.sampled_from(["x-user-id", "x-session-id", "x-region", "x-max-cost-per-token"]),
    st.sampled_from(["u1", "u2", "eu", "asia", "0.000002"]),
)
bodies = st.sampled_from(
    [
        b'{"model":"any","messages":[{"role":"user","content":"hello"}]}',
        b'{"model":"any","max_tokens":50,"temperature":1,"messages":[]}',
    ]
)
times = st.integers(0, 4_000_000_000_000).map(lambda milliseconds: milliseconds / 1000)
seeds = st.integers(0, 2**64 - 1)


class Moody:
    """A memory that says something else each time it is asked."""

    def __init__(self, seed: int) -> None:
        self._asked = seed % 97

    def _next(self) -> int:
        self._asked += 1
        return self._asked

    def turn(self, _key):
        return self._next()

    def pin(self, _key):
        return [None, *BACKENDS][self._next() % 4]

    def usage(self, _key):
        return self._next() / 7

    def verdict(self, _hook):
        return [{"passed": True}, {"passed": False}, {"error": "away"}][self._next() % 3]
