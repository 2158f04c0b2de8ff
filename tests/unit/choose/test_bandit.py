"""Bandits: who is drawn, with what probability, and what is refused."""

from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar.choose import plan
from sidecar.choose.bandit import bandits_in
from sidecar.choose.buckets import MISSING
from sidecar.model import Assignment, Odds, Stats, Trail
from tests.unit.choose.world import BACKENDS, build, context, faults, shown

TABLES = Path(__file__).parents[2] / "cases"
CASES = yaml.safe_load((TABLES / "choose_bandit.yaml").read_text())
ARMS = ["mini", "deep", "gemini", "custom"]


def bandit(document, **more):
    """A router and the bandit in it, if it learns."""
    router = build(document, **more)
    return router, next(iter(bandits_in(router)), None)


def view(odds, key, unready=()):
    table = {bucket: Odds(tuple(shares), (1.0,) * len(shares)) for bucket, shares in odds.items()}
    return Stats(bandits={key: table}, unready=frozenset(unready))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_bandit_gives_this_plan(case):
    strict = case.get("strict", True)
    router, learner = bandit(case["router"], strict=strict)
    body = case.get("body", "{}").encode()
    dealt = context(case["uniforms"], headers=case.get("headers"), body=body)
    key = learner.key if learner else bandit(case["router"])[1].key
    dealt = dealt._replace(stats=view(case.get("odds", {}), key, case.get("unready", ())))

    found = plan(router, dealt)

    assert shown(found) == case["plan"]
    assert dealt.entropy.left == []
    logged = [
        [one.arm, round(one.propensity, 12), one.bucket]
        for one in found.effects
        if isinstance(one, Assignment)
    ]
    expected = [case["assignment"]] if "assignment" in case else []
    assert logged == expected


shares = st.lists(st.floats(0, 1), min_size=4, max_size=4)
outs = st.sets(st.sampled_from(ARMS), max_size=3)


@given(shares, outs, st.integers(0, 2**64 - 1))
def test_the_logged_probability_is_the_share_among_those_that_can_be_tried(odds, out, seed):
    router, learner = bandit({"type": "bandit", "targets": ARMS})
    given_ = context(seed)._replace(stats=view({"": odds}, learner.key, out))

    found = plan(router, given_)

    left = {arm: share for arm, share in zip(ARMS, odds, strict=True) if arm not in out}
    if not any(left.values()):
        left = dict.fromkeys(left, 1.0)
    first = found.attempts[0].backend.name
    (logged,) = found.effects
    assert first in left
    assert left[first] > 0
    assert found.probability == logged.propensity == pytest.approx(left[first] / sum(left.values()))
    assert (logged.experiment, logged.version, logged.arm) == (
        "bandit:test",
        learner.version,
        first,
    )
    assert {attempt.backend.name for attempt in found.attempts} == left.keys()
    assert plan(router, given_._replace(entropy=type(given_.entropy)(seed))) == found


def test_draws_come_as_often_as_they_say():
    router, learner = bandit({"type": "bandit", "targets": ARMS})
    stats = view({"": [0.5, 0.3, 0.2, 0.0]}, learner.key, ["custom"])
    drawn = Counter(
        plan(router, context(seed)._replace(stats=stats)).attempts[0].backend.name
        for seed in range(4000)
    )

    expected = {"mini": 2000, "deep": 1200, "gemini": 800}
    assert drawn.keys() == expected.keys()
    assert sum((drawn[n] - e) ** 2 / e for n, e in expected.items()) < 13.8  # 0.1 %, two degrees


def version(**fields):
    return bandit({"type": "bandit", "targets": ["mini", "deep"], **fields})[1].version


def test_what_was_learned_is_kept_by_whoever_means_the_same():
    same = {"floor": 0.1, "algorithm": "ucb1", "half_life_requests": 9, "min_samples": 3}

    assert version(**same) == version() < 2**32


@pytest.mark.parametrize(
    "fields",
    [
        {"targets": ["deep", "mini"]},
        {"targets": ["mini", {"model": "deep", "temperature": 1}]},
        {"reward": "feedback:thumbs"},
        {"reward": {"success": 1, "latency_ms": 1}},
        {"context": "user.id"},
        {"model": "normal"},
    ],
)
def test_what_was_learned_is_worth_nothing_after_a_change(fields):
    assert version(**fields) != version()


def test_bandits_are_found_at_any_depth_but_not_those_of_a_request():
    inner = {"type": "bandit", "name": "inner", "targets": ["mini", "deep"]}
    document = {"type": "bandit", "name": "outer", "targets": [{"router": inner}, "gemini"]}

    assert [each.name for each in bandits_in(build(document))] == ["outer", "inner"]
    assert bandits_in(build(document, strict=False)) == []


def test_arms_know_who_can_answer_for_them():
    nested = {"router": {"type": "random", "targets": ["mini", "gpt-4o"]}}

    _, learner = bandit({"type": "bandit", "targets": ["deep", nested]})

    assert learner.backends == ({"deep"}, {"mini", "gpt", "gpt-azure"})


def test_an_explanation_tells_probabilities_bucket_and_samples():
    router, learner = bandit(
        {"type": "bandit", "targets": ["mini", "deep"], "context": "user.id"}, name="b"
    )
    odds = {learner.key: {MISSING: Odds((0.25, 0.75), (3.5, 90.0))}}
    trail = Trail()

    plan(router, context(1)._replace(stats=Stats(bandits=odds), trail=trail))

    (note,) = trail.routers
    assert note.notes == {"algorithm": "thompson", "learned": True, "bucket": MISSING}
    told = [(each.target, each.score, each.details) for each in note.candidates]
    assert told == [("mini", 0.25, {"samples": 3.5}), ("deep", 0.75, {"samples": 90.0})]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"reward": "thumbs"}, ".reward: expected feedback:METRIC or weights of success, "),
        ({"reward": "feedback:"}, ".reward: expected feedback:METRIC or weights of success, "),
        ({"reward": {"speed": 1}}, ".reward.speed: unknown term; known: success, latency_ms, "),
        ({"reward": {"success": 0}}, ".reward: the weights add up to 0; they need a sum above 0"),
        ({"reward": {"success": -1}}, ".reward[...]: Expected `float` >= 0.0"),
        ({"scales": {"success": 1}}, ".scales.success: unknown term; known: latency_ms, "),
        ({"scales": {"latency_ms": 0}}, ".scales[...]: Expected `float` > 0.0"),
        ({"floor": 0.6}, ".floor: 2 arms cannot have 0.6 each"),
        ({"algorithm": "exp3"}, '.algorithm: unknown value "exp3"; known: thompson, ucb1, '),
        ({"algorithm": "ucb1", "model": "normal"}, ".model: ucb1 takes rewards from 0 to 1"),
        (
            {"half_life_seconds": 60, "window_seconds": 60},
            ".window_seconds: there is half_life_seconds already; use one of them",
        ),
        ({"half_life_requests": 0}, ".half_life_requests: Expected `float` > 0.0"),
        ({"context": "user"}, ".context: "),
        ({"context": ["user.id", "nope"]}, ".context[1]: "),
        ({"context": {"prompt.tokens": [5, 5]}}, ".context.prompt.tokens: expected at most 20 num"),
        ({"context": ["a"] * 4 + ["b", "c", "d", "e"]}, ".context: 5 subjects; there may be 4"),
        ({"targets": ["mini"] * 51}, ".targets: 51 arms; a bandit has 50 at most"),
        ({"gamma": 1}, ".gamma: unknown field; bandit has: "),
    ],
)
def test_what_is_refused(fields, fault):
    (found,) = faults({"type": "bandit", "targets": ["mini", "deep"], **fields})

    assert found.startswith(f"router{fault}")


def test_the_usual_floor_leaves_room_for_many_arms():
    _, few = bandit({"type": "bandit", "targets": [*BACKENDS][:3]})
    _, many = bandit({"type": "bandit", "targets": ["mini"] * 50})

    assert (few.learning.floor, many.learning.floor) == (0.02, 0.01)
