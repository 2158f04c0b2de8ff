"""At least 1,000 runs each: errors stay at or below alpha, coverage at or above 1 - alpha.

The seeds are other ones than those of docs/experiments.md. A rate over 1,000 runs of an event of
probability alpha = 0.05 is above 0.066 once in a hundred times: SLACK covers that, no more.
"""

import numpy as np
import pytest

from bench.experiments import coverage, offpolicy, regret, rollouts, split
from bench.experiments.peeking import Rates, Setting, fixed_horizon, simulate
from sidecar.evidence import Patience, doubly_robust, ips, snips

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ALPHA, SLACK = 0.05, 0.016
RUNS, N = 1000, 10_000


def rate(times):
    return float(np.isfinite(times).mean())


def latency(rng, size):
    return rng.lognormal(0.0, 0.6, size)


def skewed(rng, size):
    return rng.lognormal(0.0, 1.0, size)


@pytest.mark.parametrize(
    ("seed", "share", "error_rate"), [(101, 0.5, 0.02), (102, 0.05, 0.02), (103, 0.5, 0.2)]
)
def test_arms_that_are_alike_are_seldom_told_apart_however_often_one_looks(seed, share, error_rate):
    times = simulate(seed, RUNS, Setting(N, share, Rates(error_rate, error_rate)))

    assert rate(times.harm) <= ALPHA / 2
    assert rate(times.better) <= ALPHA / 2
    assert rate(times.naive) > 3 * ALPHA


def test_a_guard_is_not_crossed_by_a_candidate_that_is_just_at_its_limit():
    times = simulate(104, RUNS, Setting(N, 0.5, Rates(0.02, 0.03), limit=0.01))

    assert rate(times.harm) <= ALPHA / 2


def test_two_points_more_errors_are_found_about_as_soon_as_a_planned_test_would():
    at = Setting(N, 0.5, Rates(0.02, 0.04))
    times = simulate(111, RUNS, at)

    assert rate(times.harm) > 0.99
    assert np.minimum(times.harm, N).mean() < 1.15 * fixed_horizon(at.rates, 0.5, ALPHA, 0.9, 0)


def test_a_candidate_that_always_fails_is_found_after_a_handful_of_its_requests():
    times = simulate(112, RUNS, Setting(2000, 0.05, Rates(0.02, 1.0), limit=0.01))

    assert rate(times.harm) == 1
    assert times.harm.mean() * 0.05 < 5


@pytest.mark.parametrize("truth", [0.001, 0.02, 0.3])
def test_shares_are_covered_at_all_times(truth):
    assert coverage.share(121, RUNS, N, truth) <= ALPHA + SLACK


@pytest.mark.parametrize(
    ("draw", "truth"), [(latency, np.exp(0.18)), (skewed, np.exp(0.5))], ids=["0.6", "1.0"]
)
def test_means_are_covered_at_all_times(draw, truth):
    assert coverage.mean(122, RUNS, N, draw, truth) <= ALPHA + SLACK


@pytest.mark.parametrize("canary", [0.5, 0.05])
@pytest.mark.parametrize("draw", [latency, skewed])
def test_differences_of_means_are_covered_at_all_times(draw, canary):
    assert coverage.mean_difference(123, RUNS, N, draw, canary) <= ALPHA + SLACK


def test_ratios_are_covered_at_all_times():
    assert coverage.mean_ratio(124, RUNS, N, latency, 1.2) <= ALPHA + SLACK
    assert coverage.ratio_of_sums(125, RUNS, N) <= ALPHA + SLACK


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("canary", [0.0, 0.1])
def test_quantiles_are_covered_at_all_times(level, canary):
    places = coverage.lognormal_bucket(0.6, level)
    sharp = coverage.Places(level, level, level)

    assert coverage.quantile(126, RUNS, N, places, canary) <= ALPHA
    assert coverage.quantile(127, RUNS, N, sharp, canary) <= ALPHA + SLACK


def test_a_canary_is_not_blamed_for_an_outage_of_both():
    pooled, apart = coverage.outage(128, 100)

    assert pooled > 0.9
    assert apart <= ALPHA


@pytest.mark.parametrize(
    ("seed", "world", "patience", "action", "least"),
    [
        (131, rollouts.World(0.02, 0.02), Patience(500, 1000), "promote", 0.95),
        (132, rollouts.World(0.02, 0.2), Patience(500), "roll_back", 1.0),
        (133, rollouts.World(0.02, 0.02, 1.5), Patience(500), "roll_back", 0.95),
    ],
)
def test_rollouts_end_well(seed, world, patience, action, least):
    ends = rollouts.rollouts(seed, 60, world, patience)

    assert np.mean([end.action == action for end in ends]) >= least


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_a_right_split_is_seldom_flagged_and_a_wrong_one_is(share):
    assert rate(split.alarms(141, RUNS, N, share, 0.0, below=ALPHA)) <= ALPHA
    assert rate(split.alarms(142, RUNS, 40_000, share, 0.3)) == 1


def test_bandits_lose_little_against_the_best_arm_and_forgetful_ones_after_a_switch():
    still, moved = (
        {
            name: regret.regret(151, 25, N, world, weigh)[-1]
            for name, weigh in regret.STRATEGIES.items()
        }
        for world in (regret.STATIONARY, regret.SWITCH)
    )
    forgetful = "Thompson, Beta, half-life 1,000, floor 1 %"

    assert still["Thompson, Beta"] < 0.12 * still["uniform"]
    assert max(loss for name, loss in still.items() if name != "uniform") < 0.5 * still["uniform"]
    assert moved[forgetful] < 0.5 * regret.best_fixed(N, regret.SWITCH)[-1]
    assert moved[forgetful] < 0.7 * moved["Thompson, Beta"]


@pytest.mark.parametrize("estimate", [ips, snips, doubly_robust])
def test_the_truth_is_inside_of_estimates_from_logs(estimate):
    found = offpolicy.coverage(161, 4000, 2000, estimate)

    assert found.inside == pytest.approx(0.95, abs=0.012)
    assert abs(found.bias) < found.width / 50
