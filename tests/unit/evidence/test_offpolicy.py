"""Estimates from logs, with a truth that is known."""

import re

import numpy as np
import pytest

from sidecar.evidence import Logged, doubly_robust, ips, snips

TRUTH = 0.7 * 0.8 + 0.3 * 0.5
"""The candidate takes action 1 with 0.7; actions earn 0.5 and 0.8."""


def logs(rng, n=20_000, **changes):
    action = rng.random(n) < 0.2
    reward = (rng.random(n) < np.where(action, 0.8, 0.5)).astype(float)
    found = Logged(
        propensity=np.where(action, 0.2, 0.8),
        target=np.where(action, 0.7, 0.3),
        reward=reward,
        predicted=np.where(action, 0.8, 0.5),
        predicted_target=np.full(n, TRUTH),
    )
    return found._replace(**changes)


@pytest.mark.parametrize("method", [ips, snips, doubly_robust])
def test_the_truth_is_inside(method, rng):
    found = method(logs(rng))

    assert found.cannot_tell is None
    assert found.low < TRUTH < found.high
    assert found.high - found.low < 0.06


def test_self_normalising_and_a_good_model_make_it_narrower(rng):
    logged = logs(rng)
    widths = [found.high - found.low for found in (f(logged) for f in (ips, snips, doubly_robust))]

    assert widths == sorted(widths, reverse=True)


def test_a_model_that_is_consistent_but_wrong_does_no_harm(rng):
    n = 20_000
    found = doubly_robust(logs(rng, predicted=np.full(n, 0.1), predicted_target=np.full(n, 0.1)))

    assert found.low < TRUTH < found.high


def test_figures_by_hand():
    n = 400
    action = np.arange(n) % 2
    found = ips(Logged(np.full(n, 0.5), np.where(action, 0.9, 0.1), action * 1.0))

    # Scores are 1.8 and 0 in turn; weights 1.8 and 0.2: (2 * 200)^2 / (200 * (1.8^2 + 0.2^2)).
    assert found.estimate == pytest.approx(0.9)
    assert found.effective == pytest.approx(400**2 / (200 * 3.28))
    assert found.high - found.estimate == pytest.approx(1.959964 * 0.9 / np.sqrt(399))


def test_values_of_one_key_count_together(rng):
    logged = logs(rng, n=2000)
    each_ten_times = logged._replace(
        **{
            name: np.repeat(getattr(logged, name), 10)
            for name in ("propensity", "target", "reward")
        },
        keys=[str(place) for place in np.repeat(np.arange(2000), 10)],
    )
    once, repeated = snips(logged), snips(each_ten_times)

    assert repeated.estimate == pytest.approx(once.estimate)
    assert (repeated.low, repeated.high) == pytest.approx((once.low, once.high), abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"unsupported": np.full(20_000, 0.2)}, "20.0% of the candidate's choices are never"),
        ({"target": np.zeros(20_000)}, "worth 0 decisions"),
        ({"target": np.r_[np.ones(50), np.zeros(19_950)]}, "worth .* decisions"),
        ({"propensity": np.full(20_000, 0.5)}, "the weights average 0.760, not 1"),
    ],
    ids=["never logged", "no overlap", "little overlap", "wrong propensities"],
)
@pytest.mark.parametrize("method", [ips, snips, doubly_robust])
def test_without_overlap_it_cannot_tell(method, changes, reason, rng):
    found = method(logs(rng, **changes))

    assert (found.estimate, found.low, found.high) == (None, None, None)
    assert re.search(reason, found.cannot_tell)


def test_of_no_decisions_nothing_can_be_told():
    for method in (ips, snips):
        assert method(Logged([], [], [])).cannot_tell


@pytest.mark.parametrize(
    "changes",
    [{"propensity": np.zeros(100)}, {"propensity": np.full(100, 1.5)}, {"target": np.full(100, 2)}],
)
def test_what_is_no_probability_is_refused(changes, rng):
    with pytest.raises(ValueError, match=r"probabilities|propensities"):
        ips(logs(rng, n=100, **changes))


def test_doubly_robust_needs_a_model(rng):
    with pytest.raises(ValueError, match="predictions"):
        doubly_robust(logs(rng, predicted=None))
