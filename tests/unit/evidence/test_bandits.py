"""Probabilities per arm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.evidence import (
    Beta,
    Moments,
    Normal,
    Proportion,
    best_probabilities,
    beta,
    discounted,
    epsilon_greedy,
    floored,
    normals,
    probability_better,
    thompson,
    ucb1,
    windowed,
)

ARMS = st.lists(st.tuples(st.integers(1, 4000), st.integers(1, 4000)), min_size=2, max_size=6)
POSTERIORS = {
    "beta": [Beta(81, 21), Beta(76, 26), Beta(7, 4)],
    "sharp and blunt": [Normal(0, 1), Normal(0.5, 0.01), Normal(-1, 30)],
    "alike": [Normal(5, 1)] * 3,
}


@pytest.mark.parametrize("least", [False, True])
@pytest.mark.parametrize("name", POSTERIORS)
def test_the_probability_to_be_best_is_what_draws_say(name, least, rng):
    posteriors = POSTERIORS[name]
    draws = [posterior.at(rng.random(400_000)) for posterior in posteriors]
    winners = np.argmin(draws, axis=0) if least else np.argmax(draws, axis=0)

    assert best_probabilities(posteriors, least=least) == pytest.approx(
        np.bincount(winners, minlength=3) / 400_000, abs=0.004
    )


@given(ARMS)
def test_thompson_gives_probabilities(arms):
    weights = thompson([Beta(*arm) for arm in arms])

    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0


def test_the_better_arm_is_the_one_that_was_better():
    control, candidate = beta(Proportion(1000, 700)), beta(Proportion(1000, 760))

    assert probability_better(control, candidate) == pytest.approx(0.9987, abs=5e-4)
    assert probability_better(control, candidate, less=True) == pytest.approx(0.0013, abs=5e-4)


def test_the_posterior_of_a_share_counts_from_the_uniform_prior():
    assert beta(Proportion(10, 3)) == Beta(4, 8)
    assert beta(Moments(10, 12, 20)) == Beta(11, 1)


def test_normal_posteriors_know_no_scale():
    arms = [Moments(50, 100, 250), Moments(20, 50, 150), Moments()]
    larger = [Moments(arm.n, arm.total * 1e6, arm.squares * 1e12) for arm in arms]

    assert thompson(normals(larger)) == pytest.approx(thompson(normals(arms)))


def test_an_arm_without_values_is_as_good_as_the_average_and_much_less_certain():
    known, unknown = normals([Moments(50, 100, 250), Moments()])

    assert unknown.mean == pytest.approx(2)
    assert unknown.sd > 5 * known.sd


@pytest.mark.parametrize(
    "arms", [[Moments(), Moments()], [Moments(1, 1, 1), Moments()], [Moments(9, 9, 9)] * 2]
)
def test_arms_of_which_nothing_is_known_share_alike(arms):
    assert thompson(normals(arms)) == pytest.approx([0.5, 0.5])


def test_ucb1_takes_the_greatest_index():
    # 0.5 + sqrt(2 ln 110 / 100) = 0.807 < 0.4 + sqrt(2 ln 110 / 10) = 1.370
    assert ucb1([Moments(100, 50, 50), Moments(10, 4, 4)]) == [0, 1]
    assert ucb1([Moments(100, 50, 50), Moments(10, 4, 4)], width=0.01) == [1, 0]


@pytest.mark.parametrize(
    "weights", [ucb1, lambda arms: epsilon_greedy(arms, 0.0)], ids=["ucb1", "greedy"]
)
def test_arms_without_values_come_first_and_share_alike(weights):
    assert weights([Moments(9, 9, 9), Moments(), Moments()]) == [0, 0.5, 0.5]


def test_epsilon_is_shared_by_all_arms():
    arms = [Moments(10, 5, 5), Moments(10, 7, 7)]

    assert epsilon_greedy(arms, 0.1) == pytest.approx([0.05, 0.95])


def test_a_floor_leaves_every_arm_something():
    assert floored([1, 0, 0], 0.05) == pytest.approx([0.9, 0.05, 0.05])


@pytest.mark.parametrize("floor", [-0.1, 0.34])
def test_floors_that_are_too_high_for_the_arms_are_refused(floor):
    with pytest.raises(ValueError, match="cannot have"):
        floored([1, 0, 0], floor)


SLOTS = {7: Moments(1, 1, 1), 8: Moments(2, 2, 2), 10: Moments(4, 4, 4), 11: Moments(8, 8, 8)}


def test_a_window_holds_its_last_slots():
    assert windowed(SLOTS, 10, 3, Moments()) == Moments(6, 6, 6)
    assert windowed(SLOTS, 99, 3, Moments()) == Moments()


def test_discounting_halves_with_each_half_life_and_spares_the_future():
    assert discounted(SLOTS, 10, 2.0, Moments()).n == pytest.approx(1 * 0.5**1.5 + 2 * 0.5 + 4 + 8)
