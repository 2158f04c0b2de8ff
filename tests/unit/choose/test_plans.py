"""Whole plans, from the case tables: one table for each strategy."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.choose import STRATEGIES, only, plan
from sidecar.choose.fallback import AsListed
from sidecar.model import MAX_ATTEMPTS, Backend, Leaf, Ranking, Router, Trail
from tests.unit.choose.world import BACKENDS, Shop, build, context, shown

TABLES = Path(__file__).parents[2] / "cases"


def table(name: str) -> list[Any]:
    cases = yaml.safe_load((TABLES / f"choose_{name}.yaml").read_text())
    return [pytest.param(case, id=f"{name}: {case['name']}") for case in cases]


@pytest.mark.parametrize(
    "case",
    [
        case
        for name in ("fallback", "percentage", "random", "optimized", "nested", "script")
        for case in table(name)
    ],
)
def test_a_router_gives_this_plan(case):
    dealt = context(
        case.get("uniforms", ()),
        stats=case.get("stats"),
        unready=case.get("unready", ()),
        headers=case.get("headers"),
        body=case.get("body", "{}").encode(),
    )

    assert shown(plan(build(case["router"]), dealt)) == case["plan"]
    assert dealt.entropy.left == [], "not all of the uniforms were drawn"


def test_a_router_of_one_leaf_tries_its_backends_one_after_the_other():
    leaf = Shop().leaf("gpt-4o", {"seed": 1})

    found = shown(plan(only(leaf), context()))

    assert found == {
        "attempts": [{"gpt-azure": {"seed": 1}}, {"gpt": {"seed": 1}}],
        "probability": 1.0,
        "strategy": "fallback",
    }


class Reversed:
    """A strategy that nobody registered."""

    def rank(self, candidates, context):
        return Ranking(candidates[::-1], 0.25)


class Refusing:
    """A strategy that finds none of the candidates fit."""

    def rank(self, candidates, context):
        return Ranking([])


def test_a_router_made_by_hand_is_planned_like_a_built_one():
    leaves = (Leaf("mini", (BACKENDS["mini"],)), Leaf("deep", (BACKENDS["deep"],), {"n": 1}))
    router = Router("mine", "reversed", Reversed(), leaves, parameters={"n": 2, "top_p": 1})

    found = shown(plan(router, context()))

    assert found == {
        "attempts": [{"deep": {"n": 1, "top_p": 1}}, {"mini": {"n": 2, "top_p": 1}}],
        "probability": 0.25,
        "strategy": "reversed",
    }


def test_a_strategy_may_refuse_all_candidates():
    router = Router("mine", "refusing", Refusing(), (Leaf("mini", (BACKENDS["mini"],)),))

    assert plan(router, context()) is None


@pytest.mark.parametrize("keep_rest", [True, False])
def test_a_leaf_of_more_backends_than_a_plan_holds_is_cut(keep_rest):
    names = [f"b{number:02}" for number in range(MAX_ATTEMPTS + 2)]
    many = Leaf("m", tuple(Backend(name=name, model="m", provider="p") for name in names))
    router = Router("mine", "fallback", AsListed(), (many,), keep_rest)

    found = plan(router, context())

    assert [attempt.backend.name for attempt in found.attempts] == names[:MAX_ATTEMPTS]


def test_every_type_says_its_names():
    assert {name: definition.names[0] for name, definition in STRATEGIES.items()} == {
        "fallback": "fallback",
        "percentage": "percentage",
        "a_b_testing": "percentage",
        "random": "random",
        "latency": "latency",
        "optimized": "optimized",
        "conditional": "conditional",
        "cost": "cost",
        "score": "score",
        "least_busy": "least_busy",
        "round_robin": "round_robin",
        "sticky": "sticky",
        "session": "session",
        "nearest": "nearest",
        "schedule": "schedule",
        "script": "script",
        "experiment": "experiment",
        "bandit": "bandit",
    }


def test_a_percentage_says_whose_draw_it_was_and_what_the_shares_are():
    document = {
        "type": "percentage",
        "targets": ["mini", "deep"],
        "targets_percentages": [3, 1],
        "key": "user.id",
    }
    trail = Trail()
    asked = context(headers={"x-user-id": "alice"})._replace(trail=trail)

    plan(build(document), asked)

    (note,) = trail.routers
    assert note.notes == {"key": "alice"}
    assert [(one.target, one.score) for one in note.candidates] == [("mini", 0.75), ("deep", 0.25)]
