"""Rule tests: what passes, what fails, and what a failing one says."""

from pathlib import Path

import pytest
import yaml

from sidecar.config.compile import Memo, compile_snapshot
from sidecar.config.documents import Documents
from sidecar.config.rule_tests import Result, run
from sidecar.errors import ConfigError
from sidecar.model import Policy

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "rule_tests.yaml").read_text())


def backend(**fields):
    return {"endpoints": ["http://a/v1"], **fields}


def by_plan(plan, router, **fields):
    return {"order": 1, "match": {"headers.x-plan": plan}, "router": router, **fields}


def percentage(weights, **fields):
    router = {"type": "percentage", "targets": ["small", "large"]}
    return router | {"targets_percentages": weights, **fields}


GUARDED = {
    "type": "conditional",
    "pre_request": [{"name": "tox", "type": "guardrail", "guard_id": "toxicity"}],
    "routes": [
        {
            "name": "nice",
            "conditions": {"pre_request.tox.passed": {"eq": True}},
            "targets": "large",
        },
        {"name": "rude", "targets": "small"},
    ],
}
RULES = {
    "guards": {"toxicity": {"url": "http://127.0.0.1:1/check"}},
    "backends": {
        "small": backend(model="small-1", defaults={"temperature": 0.7}),
        "large": backend(priority=1),
    },
    "routers": {"both": {"type": "fallback", "targets": ["large", "small"]}},
    "keys": {"ca978112ca1bbdca": {"tenant": "acme"}},
    "routes": {
        "premium": by_plan(
            "premium",
            {"type": "fallback", "targets": [{"model": "small", "temperature": 0.2}, "large"]},
        ),
        "fast": by_plan("fast", {"type": "latency", "targets": ["small", "large"], "explore": 0}),
        "draw": by_plan("draw", percentage([20, 80])),
        "sticky": by_plan("sticky", percentage([20, 80], key="user.id")),
        "customer": by_plan("customer", percentage([50, 50], key="headers.x-customer")),
        "field": by_plan("field", percentage([50, 50], key="body.metadata.team")),
        "turns": by_plan("turns", {"type": "round_robin", "targets": ["small", "large"]}),
        "stay": by_plan("stay", {"type": "session", "targets": ["small", "large"]}),
        "guarded": by_plan("guarded", GUARDED),
        "key": by_plan("key", percentage([50, 50], key="api_key")),
        "night": {
            "order": 2,
            "match": {"headers.x-plan": "when", "time.hour": 2, "time.weekday": "sat"},
            "router": "small",
        },
        "monday-noon": {
            "order": 2,
            "match": {"headers.x-plan": "when", "time.hour": 12, "time.weekday": "mon"},
            "router": "small",
        },
        "acme": {"order": 3, "match": {"user.tenant": "acme"}, "router": "small"},
        "vectors": {"order": 4, "match": {"operation": "embeddings"}, "router": "small"},
        "busy": {
            "order": 5,
            "match": {"metrics.large.in_flight": {"gt": 50}},
            "router": "small",
        },
        "rest": {"order": 9, "router": "both"},
    },
}


def results(tests, policy=None, **changes):
    documents = Documents.of(RULES | changes | {"tests": tests})
    snapshot = compile_snapshot(documents, version=1, policy=policy or Policy())
    return [*run(snapshot, documents)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_rules_are_tested(case):
    (result,) = results({"t": case["test"]})

    expected = case.get("problem", "")
    found = result.problem
    if expected.endswith("…"):
        found = found[: len(expected) - 1] + "…"
    assert found == expected
    assert result.passed is (not expected)


def test_tests_run_in_the_order_of_their_names_and_say_the_same_each_time():
    draw = {"request": {"headers": {"x-plan": "draw"}}, "expect": {"share": {"small": 50}}}
    tests = {"b": draw, "a": {"request": {}, "expect": {"backend": "large"}}}

    first = results(tests)

    assert [(result.name, result.passed) for result in first] == [("a", True), ("b", False)]
    assert results(tests) == first
    assert first[0] == Result("a", passed=True)


WHY = {
    "as it stands": (
        {"request": {}},
        "printf %s '{}' | pointsman explain --config FILE --seed 0 --at 2026-01-05T12:00:00Z",
    ),
    "with all that there is": (
        {
            "request": {
                "path": "/v1/messages",
                "headers": {"x-user-id": "it's me"},
                "body": {"model": "it's"},
            },
            "seed": 5,
            "at": "2026-11-21T03:00:00+01:00",
        },
        (
            """printf %s '{"model":"it'"'"'s"}' | pointsman explain --config FILE --seed 5 """
            """--at 2026-11-21T03:00:00+01:00 --path /v1/messages """
            """--header 'x-user-id:it'"'"'s me'"""
        ),
    ),
    "a long body": (
        {"request": {"body": {"input": "x" * 1000}}},
        "pointsman explain --file BODY --config FILE --seed 0 --at 2026-01-05T12:00:00Z",
    ),
}


@pytest.mark.parametrize(("test", "command"), WHY.values(), ids=WHY)
def test_a_test_that_fails_comes_with_the_command_that_says_why(test, command):
    (result,) = results({"t": test | {"expect": {"route": "premium"}}})

    assert result.problem.partition(". See why: ")[2] == command


def test_a_policy_is_tested_too():
    test = {"request": {"body": {"model": "nobody"}}, "expect": {"code": "model_not_found"}}

    (result,) = results({"t": test}, Policy(unknown_model="reject"), routes={})

    assert result.passed


UNKNOWN = {
    "route": (
        {"expect": {"route": "premum"}},
        'expect.route: unknown route "premum"; did you mean',
    ),
    "backend": ({"expect": {"backend": "smal"}}, 'expect.backend: unknown backend "smal"; did you'),
    "plan": ({"expect": {"backends": ["a"]}}, 'expect.backends: unknown backend "a"; legal: large'),
    "share": ({"expect": {"share": {"a": 1}}}, 'expect.share: unknown backend "a"; legal: large'),
    "unready": (
        {"unready": ["a"], "expect": {"route": "rest"}},
        'unready: unknown backend "a"; legal: large, small',
    ),
    "stats": (
        {"stats": {"a": {}}, "expect": {"route": "rest"}},
        'stats: unknown backend "a"; legal: large, small',
    ),
    "guard": (
        {"guards": {"g": {"passed": True}}, "expect": {"route": "rest"}},
        'guards.g: unknown guard "g"; legal: toxicity',
    ),
}


@pytest.mark.parametrize(("test", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_there_is_not_cannot_be_expected(test, message):
    with pytest.raises(ConfigError) as raised:
        results({"t": {"request": {}} | test})

    assert str(raised.value).startswith(f"tests.t.{message}")


def test_all_tests_that_expect_what_there_is_not_are_told_at_once():
    tests = {name: {"request": {}, "expect": {"route": name}} for name in ("a", "b")}

    with pytest.raises(ConfigError) as raised:
        results(tests)

    assert [fault.path for fault in raised.value.faults] == [
        "tests.a.expect.route",
        "tests.b.expect.route",
    ]


def test_of_very_many_routes_the_nearest_is_named_and_some_are_listed():
    routes = {f"route-{number}": {"router": "small"} for number in range(5000)}

    with pytest.raises(ConfigError) as raised:
        results({"t": {"request": {}, "expect": {"route": "rout-4711"}}}, routes=routes)

    assert 'did you mean "route-4711"?' in str(raised.value)
    assert len(str(raised.value)) < 1000


def test_routes_that_stand_for_no_route_can_be_expected():
    expects = {
        "(router)": {"model": "router/both"},
        "(model)": {"model": "small"},
        "(default)": {"model": "x"},
    }
    tests = {
        f"t{place}": {"request": {"body": body}, "expect": {"route": route}}
        for place, (route, body) in enumerate(expects.items())
    }

    assert all(result.passed for result in results(tests, routes={}))


def test_a_live_edit_is_not_refused_for_what_tests_expect():
    memo = Memo()
    tests = {"t": {"request": {}, "expect": {"route": "rest", "backend": "large"}}}
    compile_snapshot(Documents.of(RULES | {"tests": tests}), version=1, memo=memo)

    without = Documents.of(RULES | {"routes": {}, "tests": tests})
    assert compile_snapshot(without, version=2, memo=memo).version == 2


def test_a_test_is_looked_at_once_as_long_as_it_stays(monkeypatch):
    memo = Memo()
    tests = {"t": {"request": {}, "expect": {"route": "rest"}}}
    compile_snapshot(Documents.of(RULES | {"tests": tests}), version=1, memo=memo)

    monkeypatch.setattr("sidecar.config.compile.check_test", lambda *_: pytest.fail("again"))
    more = {"routes": RULES["routes"] | {"more": {"router": "small"}}, "tests": tests}
    assert compile_snapshot(Documents.of(RULES | more), version=2, memo=memo)
