"""Plans while backends are out: those come last, and a few requests try them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.choose import plan
from sidecar.model import Assignment, Out, Stats, TakeTurn, Trail
from tests.unit.choose.test_experiment import decided, experiment, rules
from tests.unit.choose.world import build, context

WHY = "out until 07:45:12Z: 25 consecutive failures"
ALL = ["mini", "deep", "gemini"]


class Turns:
    """A memory in which so many trials were taken."""

    def __init__(self, taken):
        self.taken = taken

    def turn(self, key):
        return self.taken.get(key, 0)


def asked(out, taken=None, seed=1):
    made = context(seed)
    return made._replace(stats=Stats(out=out), memory=Turns(taken or {}))


def planned(out, taken=None, **router):
    document = {"type": "fallback", "targets": ALL, **router}
    return plan(build(document), asked(out, taken))


def names(found):
    return [attempt.backend.name for attempt in found.attempts]


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ([], ALL),
        (["mini"], ["deep", "gemini", "mini"]),
        (["deep"], ["mini", "gemini", "deep"]),
        (["mini", "deep"], ["gemini", "mini", "deep"]),
        (ALL, ALL),
        (["somebody-else"], ALL),
    ],
)
def test_who_is_out_is_tried_last_and_never_removed(out, expected):
    assert names(planned({name: Out(WHY) for name in out})) == expected


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ({}, ALL),
        ({"trial:mini:1": 1}, ["deep", "gemini", "mini"]),
        ({"trial:mini:0": 1}, ALL),
    ],
)
def test_on_trial_it_keeps_its_place_until_the_trials_of_this_round_are_taken(taken, expected):
    found = planned({"mini": Out(WHY, "mini:1")}, taken)

    assert names(found) == expected
    assert (TakeTurn("trial:mini:1") in found.effects) == (expected == ALL)
    assert found.probability == (1.0 if expected == ALL else 0.0)


def test_a_trial_that_is_not_the_first_takes_no_turn():
    found = planned({"deep": Out(WHY, "deep:1")})

    assert names(found) == ALL
    assert found.effects == ()


@given(st.sets(st.sampled_from(ALL)), st.sets(st.sampled_from(ALL)), st.integers(0, 2**32))
def test_a_plan_has_the_same_backends_whoever_is_out(out, on_trial, seed):
    document = {"type": "random", "targets": ALL}
    states = {name: Out(WHY, f"{name}:1" if name in on_trial else "") for name in out}

    usual = names(plan(build(document), asked({}, seed=seed)))
    found = names(plan(build(document), asked(states, seed=seed)))

    late = {name for name in out if name not in on_trial}
    assert found == [one for one in usual if one not in late] + [
        one for one in usual if one in late
    ]


def test_the_trail_says_why():
    trail = Trail()
    made = asked({"mini": Out(WHY), "deep": Out("on trial", "deep:1")})._replace(trail=trail)

    plan(build({"type": "fallback", "targets": ALL}), made)

    assert trail.notes == {"out": {"mini": WHY}, "trial": {"deep": "on trial"}}


def arms_of(out, arms):
    found = decided(
        rules({"usual": experiment(arms=arms)}), {"x-user-id": "bob"}, stats=Stats(out=out)
    )
    assigned = [one for one in found.plan.effects if isinstance(one, Assignment)]
    return names(found.plan), [one.missed for one in assigned], found.plan.effects


RESCUED = [("next", {"type": "fallback", "targets": ["small", "spare"]}, 100)]


@pytest.mark.parametrize(
    ("out", "expected", "missed"),
    [
        ({}, ["small", "spare"], False),
        ({"small": Out(WHY)}, ["spare", "small"], True),
        ({"spare": Out(WHY)}, ["small", "spare"], False),
        ({"small": Out(WHY), "spare": Out(WHY)}, ["small", "spare"], False),
        ({"small": Out(WHY, "small:1")}, ["small", "spare"], False),
    ],
)
def test_an_arm_whose_first_backend_is_moved_has_failed(out, expected, missed):
    found, flags, effects = arms_of(out, RESCUED)

    assert (found, flags) == (expected, [missed])
    assert any(isinstance(one, TakeTurn) for one in effects) == (
        "small" in out and out["small"].trial != ""
    )


def test_an_arm_with_one_backend_is_served_by_it_although_it_is_out():
    assert arms_of({"small": Out(WHY)}, [("next", "small", 100)])[:2] == (["small"], [False])


def test_what_is_told_to_workers_can_be_read_there():
    told = {"mini": Out(WHY, "mini:1")}

    again = msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=dict[str, Out])

    assert again == told
