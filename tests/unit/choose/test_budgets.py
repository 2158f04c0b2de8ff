"""Which budgets a request meets, what they do, and what it is counted under."""

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar import facts
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.decide import decide
from sidecar.errors import BudgetExceeded, ConfigError
from sidecar.explain import explain
from sidecar.memory.counts import Counts
from sidecar.model import Count, Entropy, Stats, following_periods, period_at

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "budgets.yaml").read_text())
NOON = "2026-11-21T12:00:00Z"
WORLD = {
    "backends": {
        "small": {"endpoints": ["http://a"], "priority": 1},
        "large": {"endpoints": ["http://b"], "priority": 2},
        "off": {"endpoints": ["http://c"], "enabled": False},
    },
    "routes": {
        "vip": {"order": 1, "match": {"model": "vip"}, "router": "large"},
        "default": {"order": 9, "router": {"type": "fallback", "targets": ["small", "large"]}},
    },
}


class Counted:
    """A memory in which so much was counted under keys that end so."""

    def __init__(self, used=(), shared=True):
        self.used, self.is_shared = dict(used), shared

    def usages(self, keys):
        return tuple(float(self.used.get(key.rpartition(":")[2], 0)) for key in keys)

    def shared(self, _key):
        return self.is_shared


def snapshot_of(budgets):
    return compile_snapshot(Documents.of(WORLD | {"budgets": budgets}), version=1)


def request(body=(), headers=()):
    body = {"model": "any", "messages": [{"role": "user", "content": "hi"}], **dict(body)}
    return facts.read("/v1/chat/completions", dict(headers), json.dumps(body).encode())


def seconds(text):
    return datetime.fromisoformat(text).timestamp()


def decided(case):
    memory = Counted(case.get("used", {}), case.get("shared", True))
    asked = request(case.get("body", {}), case.get("headers", {}))
    now = seconds(case.get("at", NOON))
    return decide(snapshot_of(case["budgets"]), Stats(), asked, Entropy(1), now, memory)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_budgets_decide_as_the_table_says(case):
    expect = case["expect"]
    if "code" in expect:
        with pytest.raises(BudgetExceeded) as refused:
            decided(case)
        error = refused.value
        came = {"code": error.code, "status": error.status, "retry_after": error.retry_after}
        assert error.budget in case["budgets"]
        assert expect == came
        return
    decision = decided(case)
    came = {
        "backend": decision.plan.attempts[0].backend.name,
        "route": decision.route,
        "strategy": decision.plan.strategy,
        "warnings": [*decision.warnings],
        "counts": [one.key for one in decision.plan.effects if isinstance(one, Count)],
        "charges": [one.key for one in decision.charges],
    }
    assert {name: came[name] for name in expect} == expect


FAULTS = {
    "limit": ({"unit": "usd", "per": "day"}, "budgets.b.limit: is missing"),
    "negative": (
        {"limit": -1, "unit": "usd", "per": "day"},
        "budgets.b.limit: Expected `float` >= 0.0",
    ),
    "unit": (
        {"limit": 1, "unit": "dollars", "per": "day"},
        'budgets.b.unit: unknown value "dollars"; legal: tokens, requests, usd',
    ),
    "field": (
        {"limit": 1, "unit": "usd", "per": "day", "scop": "global"},
        'budgets.b.scop: unknown field "scop"; did you mean "scope"?',
    ),
    "subject": (
        {"limit": 1, "unit": "usd", "per": "day", "scope": "user.tenent"},
        'budgets.b.scope: unknown subject "user.tenent"; did you mean "user.tenant"?',
    ),
    "zone": (
        {"limit": 1, "unit": "usd", "per": "day", "timezone": "Europe/Berlyn"},
        'budgets.b.timezone: unknown time zone "Europe/Berlyn"; did you mean "Europe/Berlin"?',
    ),
    "condition": (
        {"limit": 1, "unit": "usd", "per": "day", "match": {"modle": "x"}},
        'budgets.b.match.modle: unknown subject "modle"; did you mean "model"?',
    ),
    "router": (
        {"limit": 1, "unit": "usd", "per": "day", "then": {"router": "smal"}},
        'budgets.b.then.router: unknown router "smal"; known:',
    ),
    "route": (
        {"limit": 1, "unit": "usd", "per": "day", "scope": "route.vipp"},
        'budgets.b.scope: unknown route "vipp"; did you mean "vip"?',
    ),
    "backend": (
        {"limit": 1, "unit": "usd", "per": "day", "scope": "backend", "then": {"router": "small"}},
        "budgets.b.then: the budget of a backend leaves it out of plans; legal: reject, warn",
    ),
}


@pytest.mark.parametrize(("document", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_what_is_wrong_with_a_budget_is_told_at_its_path(document, fault):
    with pytest.raises(ConfigError) as wrong:
        snapshot_of({"b": document})

    [told] = wrong.value.faults
    assert str(told).startswith(fault)


def test_headers_that_budgets_read_are_asked_of_envoy():
    budget = {"limit": 1, "unit": "usd", "per": "day", "scope": "headers.x-team"}

    assert "x-team" in snapshot_of({"b": budget}).headers


def test_an_explanation_says_which_budget_is_over_and_until_when():
    budgets = {"b": {"limit": 5, "unit": "usd", "per": "day", "then": {"router": "large"}}}

    found = explain(snapshot_of(budgets), Stats(), request(), 1, seconds(NOON), Counted({"all": 6}))

    assert found.step == "(budget)"
    assert found.notes["budgets"] == [
        {
            "budget": "b",
            "scope": "global",
            "value": "all",
            "used": 6.0,
            "limit": 5.0,
            "unit": "usd",
            "until": "2026-11-22T00:00:00Z",
            "then": "router",
        }
    ]


def test_an_explanation_says_why_a_backend_is_left_out():
    budgets = {"b": {"limit": 5, "unit": "usd", "per": "day", "scope": "backend.small"}}

    found = explain(
        snapshot_of(budgets), Stats(), request(), 1, seconds(NOON), Counted({"small": 6})
    )

    [left_out] = [one for one in found.routers[0].candidates if one.backends == ["small"]]
    why = "budget b: 6 of 5 usd per day used; it begins anew at 2026-11-22T00:00:00Z"
    assert left_out.excluded == why


class Alone:
    """The memory of one worker that shares nothing."""

    def __init__(self):
        self.counts = Counts(lambda: 0.0)

    def usages(self, keys):
        return self.counts.get_all(keys)

    def shared(self, _key):
        return False

    def apply(self, effects):
        for key, amount, kept in effects:
            self.counts.add(key, amount, kept)


@given(
    limit=st.integers(0, 8),
    users=st.lists(st.sampled_from(["a", "b", ""]), max_size=40),
    per=st.sampled_from(["minute", "hour", "day", "month"]),
)
def test_one_worker_never_lets_more_requests_through_than_the_limit(limit, users, per):
    snapshot = snapshot_of(
        {"b": {"limit": limit, "unit": "requests", "per": per, "scope": "user.id"}}
    )
    memory, passed = Alone(), dict.fromkeys(users, 0)

    for user in users:
        asked = request(headers={"x-user-id": user})
        try:
            decision = decide(snapshot, Stats(), asked, Entropy(1), seconds(NOON), memory)
        except BudgetExceeded:
            continue
        memory.apply(decision.plan.effects)
        passed[user] += 1

    assert passed == {user: min(limit, users.count(user)) for user in passed}


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "America/Havana",
    "Africa/Cairo",
]
MOMENTS = st.floats(seconds("2001-01-01T00:00:00Z"), seconds("2035-01-01T00:00:00Z"))


@given(
    now=MOMENTS,
    zone=st.sampled_from(ZONES),
    per=st.sampled_from(["minute", "hour", "day", "month"]),
)
def test_periods_hold_their_moment_and_follow_each_other_without_a_gap(now, zone, per):
    zone = ZoneInfo(zone)
    period = period_at(per, now, zone)

    assert period.start <= now < period.end
    assert period_at(per, period.start, zone) == period
    assert period_at(per, period.end, zone).start == period.end
    assert following_periods(per, zone)(now) == period


@given(now=MOMENTS, zone=st.sampled_from(ZONES))
def test_days_begin_where_the_date_changes(now, zone):
    zone = ZoneInfo(zone)
    start, end = period_at("day", now, zone)

    def day(at):
        return datetime.fromtimestamp(at, UTC).astimezone(zone).date()

    assert day(start - 1) != day(start) == day(end - 1) != day(end)
