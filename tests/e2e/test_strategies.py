"""Every router type through real Envoy: stored, in a request, and inside another router."""

import pytest

from sidecar.choose import STRATEGIES
from tests.e2e.system import System

pytestmark = pytest.mark.e2e

BOTH = ["quick", "slow"]
GOLD = {"user": {"tier": "gold"}}
CHEAPEST = """
const route = ({ models }) => {
  const cheapest = models.sort((a, b) => a.price.per_input_token - b.price.per_input_token)[0];
  return { model: cheapest.model, temperature: 0.25 };
};
"""

# Type → its fields, what the request carries, and which backend must answer.
CASES = {
    "fallback": ({"targets": ["slow", "quick"]}, {}, "slow"),
    "percentage": ({"targets": BOTH, "targets_percentages": [0, 1]}, {}, "slow"),
    "a_b_testing": ({"model_a": ["quick", 0], "model_b": ["slow", 0.5]}, {}, "slow"),
    "random": ({"targets": ["slow"]}, {}, "slow"),
    "latency": ({"targets": ["slow", "quick"], "explore": 0}, {}, "quick"),
    "optimized": ({"targets": ["slow", "quick"], "metric": "latency", "explore": 0}, {}, "quick"),
    "cost": ({"targets": BOTH}, {}, "slow"),
    "score": ({"targets": ["slow", "quick"], "weights": {"latency": 1}}, {}, "quick"),
    "least_busy": ({"targets": ["slow"]}, {}, "slow"),
    "round_robin": ({"targets": BOTH, "weights": [0, 1]}, {}, "slow"),
    "sticky": ({"targets": BOTH, "weights": [0, 1], "key": "user.id"}, {}, "slow"),
    "session": ({"targets": BOTH, "weights": [0, 1]}, {}, "slow"),
    "nearest": ({"targets": BOTH}, {}, "slow"),
    "schedule": (
        {"periods": [{"hours": "00:00-24:00", "target": "slow"}], "targets": ["quick"]},
        {},
        "slow",
    ),
    "conditional": (
        {
            "routes": [
                {"conditions": {"extra.user.tier": {"$eq": "gold"}}, "targets": "slow"},
                {"targets": "quick"},
            ]
        },
        {"extra": GOLD},
        "slow",
    ),
    "script": ({"script": CHEAPEST}, {}, "slow"),
    "bandit": ({"targets": ["slow"]}, {}, "slow"),
    "experiment": ({"experiment": "trial"}, {}, "slow"),
}
EXPERIMENT = {
    "arms": [
        {"name": "control", "router": "quick", "share": 0},
        {"name": "candidate", "router": "slow", "share": 100},
    ],
    "state": "running",
}
HEADERS = {"x-user-id": "alice", "x-session-id": "s-1", "x-region": "us-east"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A system with two backends, one cheap and slow, and a stored router of every type."""
    system = System(tmp_path_factory.mktemp("strategies"), inline_scripts="allow")
    try:
        system.start()
        system.write(documents(system))
        system.until(lambda: ask(system, model="slow").headers["x-pointsman-backend"] == "slow", "")
        system.models["large"].control(latency_ms=200)
        for name in BOTH * 3:
            assert ask(system, model=name).headers["x-pointsman-backend"] == name
        system.models["large"].reset()
        system.until(lambda: first_by_latency(system) == "quick", "statistics")
        yield system
    finally:
        system.stop()


def documents(system):
    price = {"per_input_token": 2e-6, "per_output_token": 4e-6}
    cheap = {"per_input_token": 1e-6, "per_output_token": 2e-6}
    routers = {kind: {"type": kind, **CASES[kind][0]} for kind in CASES if kind in STRATEGIES}
    nested = {
        f"in-{kind}": {"type": "fallback", "targets": [f"router/{kind}", "quick"]}
        for kind in routers
    }
    return {
        "backends": {
            "quick": system.backend("small", price=price, region="eu-west", priority=1),
            "slow": system.backend("large", price=cheap, region="us-east", priority=2),
        },
        "routers": routers | nested,
        "experiments": {"trial": EXPERIMENT},
    }


def ask(system, headers=None, **fields):
    return system.chat(headers=HEADERS | (headers or {}), **fields)


def first_by_latency(system):
    return ask(system, model="router/latency").headers["x-pointsman-backend"]


def answered(response, backend, strategy, route):
    assert response.status_code == 200, response.text
    found = response.headers
    assert found["x-pointsman-backend"] == backend
    assert found["x-pointsman-strategy"] == strategy
    assert found["x-pointsman-route"] == route


def test_every_router_type_has_a_case():
    assert CASES.keys() == STRATEGIES.keys()


def kind_of(name):
    """Return the strategy; the arms of an experiment are routers of their own."""
    kind = STRATEGIES[name].names[0]
    return "experiment/fallback" if kind == "experiment" else kind


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_stored_router_decides(shop, name):
    _, body, backend = CASES[name]

    response = ask(shop, model=f"router/{name}", **body)

    answered(response, backend, kind_of(name), "(router)")


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_router_in_the_request_decides(shop, name):
    fields, body, backend = CASES[name]

    response = ask(shop, model="router/dynamic", router={"type": name, **fields}, **body)

    answered(response, backend, kind_of(name), "(inline)")
    sent = shop.last({"quick": "small", "slow": "large"}[backend]).body
    assert "router" not in sent
    assert "extra" not in sent


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_router_inside_another_decides(shop, name):
    _, body, backend = CASES[name]

    response = ask(shop, model=f"router/in-{name}", **body)

    answered(response, backend, f"fallback/{kind_of(name)}", "(router)")
