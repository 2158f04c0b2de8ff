"""`GET /api/v1/stats` and `/stats/series`, fed as Envoy's access log feeds them."""

import json

import httpx
import pytest

from sidecar.admin.http import admin_app
from sidecar.admin.stats import FRESH_SECONDS, MOST_BACKENDS, StatsSources, stats_router
from sidecar.model import Price
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.outcome import FailedAttempt, Outcome, Usage
from sidecar.telemetry.recorder import Recorder
from sidecar.telemetry.series import FIELDS, TrafficSeries
from sidecar.telemetry.windows import Windows
from sidecar.xds.envoy_admin import BackendHealth
from tests.unit.telemetry.snapshots import backend, snapshot

T = 1_700_000_000
SMALL = backend("small", price=Price(1e-6, 4e-6))
LARGE = backend("large")
OFF = backend("off", enabled=False)
ANSWER = {
    "decision_id": "019a",
    "backend": "small",
    "plan": ("small", "large"),
    "attempts": 1,
    "status": 200,
    "stream": True,
    "started": T,
    "duration_s": 0.2,
    "upstream_s": 0.2,
    "ttft_s": 0.05,
    "tokens": Usage(100, 50),
}


class Node:
    """What control has, with a clock that tests set."""

    def __init__(self):
        self.now = T
        self.windows, self.series = Windows(), TrafficSeries(lambda: self.now)
        self.rules = snapshot([SMALL, LARGE, OFF])
        self.health = {"small": BackendHealth(True, 2, 1)}
        self.store_up = self.envoy_answers = True
        self.use(self.rules)
        self.sink = Recorder(
            Metrics("1"),
            self.windows,
            clock=lambda: self.now,
            listeners=[self.series.outcome],
            attempt_listeners=[self.series.attempt],
        )
        self.app = admin_app(lambda _: (b"", ""), self.readiness, self.router())

    def use(self, rules):
        self.rules = rules
        for one in (self.windows, self.series):
            one.use(rules.backends if rules else {})

    def readiness(self):
        return self.rules is not None, {"ready": self.rules is not None}

    def router(self):
        sources = StatsSources(
            node="here",
            snapshot=lambda: self.rules,
            totals=lambda: self.windows.totals(self.now),
            in_flight=lambda: {"small": 2},
            health=lambda: self.health,
            envoy_answers=lambda: self.envoy_answers,
            store_up=lambda: self.store_up,
            readiness=self.readiness,
            series=self.series,
        )
        return stats_router(sources, clock=lambda: self.now)

    def answers(self, count, **changes):
        for _ in range(count):
            self.sink.outcome(Outcome(**ANSWER | changes))

    async def get(self, path="", **query):
        transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(f"/api/v1/stats{path}", params=query)


@pytest.fixture
def node():
    return Node()


async def test_the_last_minute_in_figures(node):
    node.answers(8)
    node.sink.attempt(FailedAttempt("small", "503", blamed=True))
    node.answers(1, backend="large", attempts=2)

    found = (await node.get()).json()

    assert (found["node"], found["version"], found["store_up"]) == ("here", 1, True)
    assert found["readyz"] == {"ready": True}
    small = found["backends"]["small"]
    assert (small["requests"], small["errors"], small["in_flight"]) == (9, 1, 2)
    assert small["requests_per_second"] == pytest.approx(9 / 60, abs=1e-3)
    assert small["error_rate"] == pytest.approx(1 / 9, abs=1e-6)
    assert small["share"] == 0.9
    assert small["latency_ms"] == {"p50": pytest.approx(200, rel=0.01)} | {
        "p95": pytest.approx(200, rel=0.01)
    }
    assert small["ttft_ms"]["p95"] == pytest.approx(50, rel=0.01)
    assert small["tokens_per_second"] == 8 * 150 / 60
    assert small["cost_usd_per_hour"] == pytest.approx(8 * 300e-6 * 60)
    totals = found["totals"]
    assert (totals["requests"], totals["errors"], totals["in_flight"]) == (10, 1, 2)
    assert totals["tokens_per_second"] == 9 * 150 / 60


async def test_without_traffic_ratios_and_times_are_unknown_not_zero(node):
    found = (await node.get()).json()

    small = found["backends"]["small"]
    assert (small["requests"], small["requests_per_second"]) == (0, 0)
    assert (small["error_rate"], small["share"], small["latency_ms"]["p50"]) == (None, None, None)


async def test_a_backend_is_as_healthy_as_the_metric_says_and_else_there_is_a_reason(node):
    node.health["large"] = BackendHealth(False, 0, 1, "its health check fails")

    found = (await node.get()).json()["backends"]

    state = {name: (one["healthy"], one["reason"]) for name, one in found.items()}
    assert state == {
        "small": (True, None),
        "large": (False, "its health check fails"),
        "off": (None, "disabled"),
    }
    assert found["off"]["enabled"] is False


async def test_what_envoy_does_not_know_is_unknown(node):
    node.health = {}
    assert (await node.get()).json()["backends"]["small"]["reason"] == "Envoy has not taken it yet"

    node.envoy_answers = False
    node.now += FRESH_SECONDS
    assert (await node.get()).json()["backends"]["small"]["reason"] == "Envoy does not answer"


async def test_before_there_are_rules_it_answers_too(node):
    node.use(None)

    found = (await node.get()).json()

    assert (found["version"], found["ready"], found["backends"]) == (None, False, {})


async def test_an_answer_is_given_again_for_half_a_second(node):
    first = (await node.get()).json()
    node.answers(1)
    assert (await node.get()).json() == first

    node.now += FRESH_SECONDS
    assert (await node.get()).json()["backends"]["small"]["requests"] == 1


async def test_the_hour_in_steps(node):
    node.answers(3)
    node.now += 20
    node.answers(1, backend="large")
    node.now += 10

    found = (await node.get("/series", minutes=60)).json()

    assert (found["step_seconds"], found["times"]) == (10, [T, T + 10, T + 20])
    assert {name: one["requests"] for name, one in found["backends"].items()} == {
        "small": [3, 0, 0],
        "large": [0, 0, 1],
    }
    assert found["backends"]["small"].keys() == set(FIELDS)
    assert found["backends"]["small"]["latency_ms_p50"][1] is None
    assert found["clients"]["requests"] == [3, 0, 1]


async def test_series_of_some_minutes_and_of_one_backend(node):
    for name in ("small", "large") * 60:
        node.answers(1, backend=name)
        node.now += 5
    assert len((await node.get("/series", minutes=5)).json()["times"]) == 30

    found = (await node.get("/series", backend="large")).json()["backends"]
    assert list(found) == ["large"]


async def test_a_new_step_is_told_at_once(node):
    node.now += 10
    assert (await node.get("/series")).json()["times"] == [T]
    node.now += 10
    assert (await node.get("/series")).json()["times"] == [T, T + 10]


async def test_of_many_backends_the_busiest_are_told_unless_others_are_named(node):
    for number in range(MOST_BACKENDS + 5):
        node.answers(2 if number >= 5 else 1, backend=f"b{number}")
    node.now += 10

    found = (await node.get("/series")).json()

    assert (len(found["backends"]), found["left_out"]) == (MOST_BACKENDS, 5)
    assert "b1" not in found["backends"]
    assert list((await node.get("/series", backend="b1")).json()["backends"]) == ["b1"]


@pytest.mark.parametrize("minutes", ["0", "61", "x"])
async def test_minutes_that_are_not_kept_are_refused(node, minutes):
    answer = await node.get("/series", minutes=minutes)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "minutes" in json.dumps(answer.json())
