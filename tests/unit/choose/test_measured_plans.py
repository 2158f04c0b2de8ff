"""Plans of routers that judge by prices, measurements, load and time, and what they say of it."""

import pytest

from tests.unit.choose.market import explained
from tests.unit.choose.test_plans import table
from tests.unit.choose.world import faults, shown

TABLES = ("cost", "score", "least_busy", "schedule")


def cases(kind):
    return [case for name in TABLES for case in table(name) if kind in case.values[0]]


@pytest.mark.parametrize("case", cases("plan"))
def test_a_router_gives_this_plan_and_says_why(case):
    found, note, warnings = explained(case)

    assert shown(found) == case["plan"]
    assert warnings == case.get("warnings", [])
    noted = {one.target: one for one in note.candidates}
    excluded = {name: one.excluded for name, one in noted.items() if one.excluded is not None}
    assert excluded == case.get("excluded", {})
    for name, score in case.get("scores", {}).items():
        expected = None if score is None else pytest.approx(score, rel=1e-9)
        assert noted[name].score == expected, name
    for name, details in case.get("details", {}).items():
        assert noted[name].details == details
    for key, value in case.get("notes", {}).items():
        assert note.notes[key] == value


@pytest.mark.parametrize("case", cases("faults"))
def test_a_wrong_router_is_refused_with_every_fault(case):
    assert faults(case["router"], strict=case.get("strict", True)) == case["faults"]


def test_a_metric_router_says_by_what_it_judged():
    document = {"type": "optimized", "metric": "tps", "targets": ["mini", "deep", "gemini"]}
    windows = {"15m": {"requests": 1, "tokens_per_second": 20}}
    stats = {"mini": windows, "deep": {"15m": {"requests": 1, "tokens_per_second": 30}}}

    _, note, _ = explained({"router": document, "stats": stats, "uniforms": [0.5]})

    assert note.notes == {"metric": "tps", "window": "15m", "explored": False}
    assert [(one.target, one.score, one.details) for one in note.candidates] == [
        ("mini", 20, {}),
        ("deep", 30, {}),
        ("gemini", None, {"cold": True}),
    ]


def test_a_metric_router_without_any_sample_has_no_window():
    _, note, _ = explained({"router": {"type": "latency", "targets": ["mini"]}, "uniforms": [0]})

    assert note.notes == {"metric": "latency", "window": None, "explored": True}


def test_the_calendars_of_a_request_are_bounded_over_all_levels():
    inner = {"type": "schedule", "periods": [{"dates": ["2026-12-24"] * 600, "target": "mini"}]}
    few, many = (
        {"type": "schedule", "periods": [{"dates": dates, "target": {"router": inner}}]}
        for dates in (["2026-12-24"] * 350, ["2026-12-24"] * 450)
    )

    assert faults(few, strict=False) == []
    assert faults(many, strict=True) == []
    where = "router.periods[0].target.router.periods"
    expected = f"{where}: more than 1000 hours, days and targets in all"
    assert faults(many, strict=False) == [expected]
