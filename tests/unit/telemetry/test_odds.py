"""From rewards to probabilities: what every algorithm makes of what is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.choose.bandit import Learning
from sidecar.telemetry.odds import SLOTS, Earned, odds_of

ARMS = ("a", "b", "c")
NOW = 1_800_000_000.0


def odds(rewards, now=NOW, at=NOW, slot=0, **learning):
    """Odds after ``rewards``: arm → (count, total), each reward as good as the mean."""
    sums = {arm: (n, total, total * total / n if n else 0) for arm, (n, total) in rewards.items()}
    learning = Learning(**{"floor": 0.0, **learning})
    return odds_of(learning, ARMS, Earned(at, {slot: sums}), now)


GOOD = {"a": (100, 90), "b": (100, 40), "c": (100, 40)}
ALGORITHMS = [
    {"algorithm": "thompson"},
    {"algorithm": "thompson", "model": "normal"},
    {"algorithm": "ucb1"},
    {"algorithm": "epsilon_greedy", "epsilon": 0.0},
]
every_algorithm = pytest.mark.parametrize(
    "learning", ALGORITHMS, ids=lambda one: "-".join(map(str, one.values()))
)


@every_algorithm
def test_who_earns_most_is_drawn_most(learning):
    found = odds(GOOD, **learning)

    assert found.probabilities[0] > 0.99
    assert found.samples == (100, 100, 100)


@every_algorithm
def test_without_rewards_all_are_alike(learning):
    assert odds({}, **learning).probabilities == pytest.approx([1 / 3] * 3)


@every_algorithm
def test_others_keep_the_floor(learning):
    found = odds(GOOD, **(learning | {"floor": 0.05}))

    assert found.probabilities == pytest.approx([0.9, 0.05, 0.05], abs=1e-3)
    assert min(found.probabilities) >= 0.05


def test_thompson_is_the_probability_to_be_the_best():
    found = odds({"a": (20, 12), "b": (20, 10), "c": (20, 4)})

    rng = np.random.default_rng(5)
    drawn = rng.beta([13, 11, 5], [9, 11, 17], size=(200_000, 3)).argmax(axis=1)
    assert found.probabilities == pytest.approx(np.bincount(drawn, minlength=3) / 200_000, abs=4e-3)


def test_epsilon_is_shared_by_all():
    found = odds(GOOD, algorithm="epsilon_greedy", epsilon=0.3)

    assert found.probabilities == pytest.approx([0.8, 0.1, 0.1])


@pytest.mark.parametrize("algorithm", ["ucb1", "epsilon_greedy"])
def test_an_arm_that_never_earned_gets_its_equal_share_and_no_more(algorithm):
    """One that is switched off would be the most promising for ever."""
    found = odds({"a": (100, 90), "b": (100, 40)}, algorithm=algorithm, epsilon=0)

    assert found.probabilities == pytest.approx([2 / 3, 0, 1 / 3])


def test_arms_of_few_samples_get_an_equal_share():
    found = odds({"a": (100, 90), "b": (100, 10), "c": (9, 0)}, min_samples=10)

    assert found.probabilities == pytest.approx([2 / 3, 0, 1 / 3], abs=1e-6)


def test_half_of_it_is_forgotten_after_a_half_life():
    before = odds(GOOD, half_life_seconds=60)
    after = odds(GOOD, now=NOW + 120, half_life_seconds=60)

    assert before.samples == (100, 100, 100)
    assert after.samples == (25, 25, 25)
    assert after.probabilities[0] < before.probabilities[0]
    assert odds(GOOD, now=NOW - 5, half_life_seconds=60) == before, "clocks may step back"


def test_a_window_has_an_end():
    slot = int(NOW / (60 / SLOTS))

    assert odds(GOOD, slot=slot, window_seconds=60).samples == (100, 100, 100)
    assert odds(GOOD, slot=slot, now=NOW + 56, window_seconds=60).samples == (100, 100, 100)
    assert odds(GOOD, slot=slot, now=NOW + 61, window_seconds=60).samples == (0, 0, 0)


sums = st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3)
learnings = st.builds(
    Learning,
    algorithm=st.sampled_from(["thompson", "ucb1", "epsilon_greedy"]),
    model=st.sampled_from(["beta", "normal"]),
    epsilon=st.floats(0, 1),
    floor=st.floats(0, 1 / 3),
    min_samples=st.integers(0, 50),
    half_life_seconds=st.none() | st.floats(1e-3, 1e9),
)
honest = st.integers(0, 10_000).flatmap(
    lambda n: st.floats(0, n).map(lambda total: (float(n), total, total * total / max(n, 1)))
)


@given(learnings, st.dictionaries(st.sampled_from(ARMS), sums | honest), st.floats(0, 1e6))
def test_whatever_is_known_there_are_probabilities_that_keep_the_floor(learning, arms, age):
    found = odds_of(learning, ARMS, Earned(NOW, {0: arms}), NOW + age)

    assert math.fsum(found.probabilities) == pytest.approx(1)
    assert all(learning.floor - 1e-9 <= each <= 1 + 1e-9 for each in found.probabilities)
    assert found == odds_of(
        learning, ARMS, Earned(NOW, {0: dict(reversed(arms.items()))}), NOW + age
    )
