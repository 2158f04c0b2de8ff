"""The simulations use the room's formulas on arrays: they must say what the room says."""

import numpy as np
import pytest

from bench.experiments import coverage, offpolicy, regret, rollouts, split
from bench.experiments.peeking import Rates, Setting, fixed_horizon, harmed, simulate, traffic
from bench.experiments.tables import Table, markdown
from sidecar.evidence import Patience, Proportion, difference, ips, snips, srm


@pytest.mark.parametrize("limit", [0.0, 0.01])
@pytest.mark.parametrize(
    ("share", "rates"), [(0.5, Rates(0.02, 0.06)), (0.1, Rates(0.01, 0.3)), (0.5, Rates(0.4, 0.5))]
)
def test_a_simulated_roll_back_is_one_of_the_rooms(share, rates, limit, rng):
    seen = traffic(rng, 2, 3000, share, rates)
    crossed = harmed(seen, limit, 0.05)

    for run, request in [(0, 2999), (1, 1525), *zip(*np.nonzero(crossed), strict=True)][:12]:
        n, hits, m, more = (float(each[run, request]) for each in seen)
        found = difference(Proportion(n, hits), Proportion(m, more), 0.05)
        assert (found.low > limit) == crossed[run, request]


def test_the_same_seed_is_the_same_experiment():
    at = Setting(3000, 0.5, Rates(0.02, 0.08))
    times = simulate(1, 20, at)

    assert times.harm.tolist() == simulate(1, 20, at).harm.tolist()
    assert np.isfinite(times.harm).sum() == 20
    assert np.isfinite(times.better).sum() == 0
    assert np.median(times.harm) < 1000


def test_naive_peeking_errs_and_confidence_sequences_do_not():
    times = simulate(2, 40, Setting(4000, 0.5, Rates(0.05, 0.05)))

    assert np.isfinite(times.harm).sum() == 0
    assert np.isfinite(times.naive).sum() >= 5


def test_a_planned_test_takes_what_the_textbook_says():
    # (1.96 + 1.2816)^2 (0.0196 + 0.0384) / 0.02^2 = 1524 in each arm
    assert fixed_horizon(Rates(0.02, 0.04), 0.5, 0.05, 0.9, 0.0) == pytest.approx(3048, abs=2)


def test_intervals_hold_in_a_few_runs_and_not_without_their_width():
    values = (lambda rng, size: rng.lognormal(0, 0.6, size), np.exp(0.18))
    places = coverage.lognormal_bucket(0.6, 0.95)

    assert coverage.share(1, 40, 2000, 0.05) <= 0.05
    assert coverage.mean(1, 40, 2000, *values) <= 0.05
    assert coverage.mean_difference(1, 40, 2000, values[0], 0.2) <= 0.05
    assert coverage.mean_ratio(1, 40, 2000, values[0], 1.2) <= 0.05
    assert coverage.ratio_of_sums(1, 40, 2000) <= 0.05
    assert coverage.quantile(1, 40, 2000, places, 0.2) <= 0.05
    assert coverage.mean(1, 40, 2000, *values, alpha=0.9) > 0.5
    assert coverage.share(1, 40, 2000, 0.05, alpha=0.9) > 0.3


def test_an_outage_of_both_is_not_the_canarys():
    assert coverage.outage(1, 3) == (1, 0)


def test_users_who_differ_are_corrected_for():
    plain, corrected = coverage.users(1, 20)

    assert plain > 0
    assert corrected == 0


def test_rollouts_end_where_they_should():
    fine = rollouts.rollouts(1, 2, rollouts.World(0.005, 0.005), Patience(500, 1000))
    broken = rollouts.rollouts(2, 3, rollouts.World(0.02, 0.5), Patience(500))
    slow = rollouts.rollouts(3, 2, rollouts.World(0.02, 0.02, 2.0), Patience(500))

    assert [end.action for end in fine] == ["promote"] * 2
    assert [end.action for end in broken] == ["roll_back"] * 3
    assert [end.action for end in slow] == ["roll_back"] * 2
    assert max(end.exposures for end in broken) <= 100


def test_the_simulated_split_is_the_rooms():
    assert np.isinf(split.alarms(1, 30, 4000, 0.5, 0.0)).all()
    assert split.alarms(2, 30, 4000, 0.5, 0.5).max() < 1000
    assert srm({"a": 120, "b": 60}, {"a": 1, "b": 1}).p_value < 0.001


def test_bandits_lose_less_than_uniform_shares():
    ends = {
        name: regret.regret(1, 3, 5000, regret.STATIONARY, weigh)[-1]
        for name, weigh in regret.STRATEGIES.items()
    }

    assert ends["uniform"] == pytest.approx(250, rel=0.05)
    assert max(end for name, end in ends.items() if name != "uniform") < 0.6 * ends["uniform"]


def test_after_a_switch_the_forgetful_bandit_loses_least():
    old, new = (
        regret.regret(1, 5, 10_000, regret.SWITCH, regret.STRATEGIES[name])[-1]
        for name in ("Thompson, Beta", "Thompson, Beta, half-life 1,000, floor 1 %")
    )

    assert new < old
    assert regret.best_fixed(10_000, regret.SWITCH)[-1] == pytest.approx(500)


def test_logged_decisions_are_drawn_with_the_probabilities_they_state(rng):
    on = offpolicy.bench(1)
    logged = offpolicy.logs(rng, on, 20_000, model=on.rewards)

    assert np.mean(np.asarray(logged.target) / np.asarray(logged.propensity)) == pytest.approx(
        1, abs=0.03
    )
    for estimate in (ips, snips):
        assert estimate(logged).estimate == pytest.approx(on.truth, abs=0.05)


def test_a_table_is_markdown():
    assert markdown(Table("What", ("a", "b"), [("1", "2")])) == (
        "### What\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    )
