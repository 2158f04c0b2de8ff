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
