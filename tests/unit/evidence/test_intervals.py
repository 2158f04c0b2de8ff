"""Intervals of one arm and of what lies between two."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.evidence import Histogram, Interval, Moments, Proportion, Ratio, interval
from sidecar.evidence import difference as difference_of
from sidecar.evidence import ratio as ratio_of
from sidecar.evidence.boundary import log_martingale, mixing, mixture_radius
from sidecar.evidence.proportions import JEFFREYS, greatest
from sidecar.evidence.sums import summed

ALPHA = 0.05


def moments(values):
    return Moments(len(values), *(float(np.sum(values**power)) for power in (1, 2, 3)))


def histogram(values):
    found = Histogram()
    for value in values:
        found.add(float(value))
    return found


def width(found):
    return found.high - found.low


def test_no_error_of_fifty_is_not_no_errors():
    found = interval(Proportion(50, 0), ALPHA)

    # B(1/2, 50 1/2) / B(1/2, 1/2) / (1 - p)^50 = 20 has this solution.
    assert found == Interval(50, 0, 0, pytest.approx(0.10464, abs=1e-5))


@given(n=st.integers(1, 5000), share=st.floats(0, 1), alpha=st.sampled_from([0.001, 0.05, 0.2]))
def test_the_ends_of_a_share_are_where_the_martingale_reaches_its_limit(n, share, alpha):
    hits = round(n * share)
    found = interval(Proportion(n, hits), alpha)

    assert 0 <= found.low <= hits / n <= found.high <= 1
    for end in (found.low, found.high):
        if 0 < end < 1:
            evidence = log_martingale(hits, n, end, JEFFREYS)
            assert evidence == pytest.approx(-math.log(alpha), abs=1e-4)


def test_radius_is_the_published_formula():
    n, sigma, rho = 400, 2.0, 0.1
    published = sigma * math.sqrt(
        2 * (n * rho**2 + 1) / (n**2 * rho**2) * math.log(math.sqrt(n * rho**2 + 1) / ALPHA)
    )

    assert mixture_radius(sigma**2 / n, rho**2 * n, ALPHA) == pytest.approx(published)


def test_the_mixture_is_tightest_where_it_is_said_to_be():
    def radius(tight_at):
        return mixture_radius(1 / 1000, mixing(ALPHA, tight_at) * 1000, ALPHA)

    assert radius(1000) < min(radius(800), radius(1250))


@pytest.mark.parametrize(
    "arm", [Moments(99, 99, 990), Moments(500, 500, 500), Moments(), Ratio(), Proportion()]
)
def test_too_few_values_or_none_that_differ_say_nothing_of_the_spread(arm):
    found = interval(arm, ALPHA)

    assert (found.low, found.high) == (None, None)


def test_intervals_shrink_with_the_root_of_the_number():
    one, hundred = (interval(Moments(n, n, 2.0 * n, 4.0 * n), ALPHA) for n in (1e4, 1e6))

    assert width(one) / width(hundred) == pytest.approx(10, rel=0.25)


def test_skewed_values_leave_more_room_on_the_side_where_great_ones_may_come(rng):
    low, high = (interval(moments(side * rng.exponential(1, 500)), ALPHA) for side in (-1, 1))

    assert high.high - high.estimate > 1.05 * (high.estimate - high.low)
    assert low.estimate - low.low > 1.05 * (low.high - low.estimate)


def test_values_without_skew_have_the_plain_radius():
    found = interval(Moments(400, 0, 1596, 0), ALPHA)

    assert (
        found.high == -found.low == pytest.approx(mixture_radius(0.01, mixing(ALPHA) * 400, ALPHA))
    )


def test_a_candidate_that_fails_always_is_known_after_four_requests():
    found = difference_of(Proportion(990, 5), Proportion(4, 4), ALPHA)

    assert found.low > 0.05


def test_without_any_error_a_difference_is_bounded_by_the_smaller_arm():
    found = difference_of(Proportion(10_000, 0), Proportion(500, 0), ALPHA)

    assert found.estimate == 0
    assert 0.01 < found.high < 0.03
    assert -0.002 < found.low < 0


@given(
    hits=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    n=st.tuples(st.integers(30, 3000), st.integers(30, 3000)),
)
def test_no_pair_of_shares_that_is_possible_lies_outside_of_the_difference(hits, n):
    alpha = 0.01
    both = [np.array(pair, dtype=float) for pair in (hits, n)]
    high = greatest(*both, np.array([-1.0, 1.0]), alpha)
    mine, theirs = np.meshgrid(np.linspace(0, 1, 400) ** 2, np.linspace(0, 1, 400) ** 2)
    evidence = log_martingale(hits[0], n[0], mine, JEFFREYS)
    evidence = evidence + log_martingale(hits[1], n[1], theirs, JEFFREYS)
    possible = evidence < -math.log(alpha)

    assert (theirs - mine)[possible].max(initial=-1) <= high + 1e-9
    assert (theirs - mine)[possible].max(initial=-1) >= high - 0.02


def test_swapping_the_arms_turns_the_difference_and_inverts_the_ratio():
    a, b = Proportion(2000, 9), Proportion(300, 4)
    there, back = difference_of(a, b, ALPHA), difference_of(b, a, ALPHA)
    over, under = ratio_of(a, b, ALPHA), ratio_of(b, a, ALPHA)

    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert (over.low, over.high) == pytest.approx((1 / under.high, 1 / under.low), rel=1e-4)


@pytest.mark.parametrize(("fewer", "more"), [(9, 10), (39, 40)])
def test_with_more_events_the_asymptotic_interval_of_a_difference_takes_over(fewer, more):
    few, many = (
        difference_of(Proportion(5000, events), Proportion(5000, events), ALPHA)
        for events in (fewer, more)
    )

    assert (width(many) < 0.95 * width(few)) is (more == 10)
    assert width(many) < 1.05 * width(few)


def test_a_ratio_over_what_may_be_nothing_has_no_upper_end():
    found = ratio_of(Proportion(50_000, 0), Proportion(50_000, 20), ALPHA)

    assert (found.estimate, found.high) == (None, None)
    assert found.low == pytest.approx(0.7997, abs=1e-3)


def test_a_ratio_of_means_is_that_of_the_logarithms(rng):
    found = ratio_of(
        moments(rng.lognormal(0, 0.5, 9000)), moments(rng.lognormal(0.2, 0.5, 3000)), ALPHA
    )

    assert found.low < math.exp(0.2) < found.high
    assert found.low * found.high == pytest.approx(found.estimate**2)


def test_a_ratio_of_means_that_may_as_well_be_nothing_is_open():
    found = ratio_of(Moments(500, 1e-9, 1e6), Moments(500, 500, 1000), ALPHA)

    assert (found.low, found.high) == (None, None)


def test_a_ratio_of_sums_has_the_interval_of_its_residues():
    one = Ratio(200, 2000, 400, 30_000, 1000, 4400)

    # sum((x - 5 y)^2) = 30000 - 44000 + 25000 = 11000; mean(y) = 2
    radius = mixture_radius(11_000 / 199 / 4 / 200, mixing(ALPHA) * 200, ALPHA)
    assert interval(one, ALPHA) == Interval(
        200, 5, pytest.approx(5 - radius), pytest.approx(5 + radius)
    )


def test_a_quantile_lies_between_its_ends_and_they_close_in(rng):
    values = rng.lognormal(0, 0.6, 20_000)
    few, many = (
        interval(histogram(values[:n]), ALPHA, level=0.95) for n in (1_000, 20_000)
    )  # fmt: skip
    truth = math.exp(0.6 * 1.6449)

    assert few.low < truth < few.high
    assert many.low < truth < many.high
    assert width(many) < width(few) / 3


def test_a_quantile_beyond_all_values_has_no_upper_end():
    found = interval(histogram([1.0] * 20), ALPHA, level=0.95)

    assert found.high is None
    assert found.low == pytest.approx(1, rel=0.02)
    assert found.estimate == pytest.approx(1, rel=0.02)


def test_values_that_are_all_alike_have_a_quantile_of_one_bucket():
    found = interval(histogram([3.0] * 5000), ALPHA, level=0.5)

    assert found.low <= 3 <= found.high
    assert found.high / found.low == pytest.approx(1.02)


def test_a_quantile_over_one_that_is_nothing_has_no_upper_end():
    found = ratio_of(histogram([0.0] * 500), histogram([2.0] * 500), ALPHA, level=0.5)

    assert (found.estimate, found.high) == (None, None)
    assert found.low > 1000


def test_quantiles_compare_more_tightly_than_two_bands_of_half_alpha(rng):
    mine = histogram(rng.lognormal(0, 0.6, 8000))
    theirs = histogram(rng.lognormal(0.3, 0.6, 2000))
    bands = [interval(arm, ALPHA / 2, level=0.95) for arm in (mine, theirs)]
    found = ratio_of(mine, theirs, ALPHA, level=0.95)

    assert found.low >= bands[1].low / bands[0].high
    assert found.high <= bands[1].high / bands[0].low
    assert found.low < math.exp(0.3) < found.high


@pytest.mark.parametrize("between", [difference_of, ratio_of])
def test_an_arm_in_equal_stretches_is_about_as_good_as_in_one(between, rng):
    draws = [rng.lognormal(0, 0.5, 3000) for _ in range(4)]
    mine, theirs = [moments(each) for each in draws[:2]], [moments(each) for each in draws[2:]]
    apart = between(mine, theirs, ALPHA)
    whole = between(summed(mine, Moments()), summed(theirs, Moments()), ALPHA)

    assert apart.n == whole.n
    assert (apart.low, apart.high) == pytest.approx((whole.low, whole.high), rel=0.05)


STRETCHES = {
    "share": (
        [Proportion(9900, 99), Proportion(1000, 200)],
        [Proportion(100, 1), Proportion(1000, 200)],
    ),
    "rare": (
        [Proportion(9900, 9), Proportion(100, 20)],
        [Proportion(100, 0), Proportion(60, 12)],
    ),
    "mean": (
        [Moments(9900, 9900, 2 * 9900), Moments(1000, 5000, 26_000)],
        [Moments(100, 100, 200), Moments(1000, 5000, 26_000)],
    ),
}


@pytest.mark.parametrize("name", STRETCHES)
def test_a_bad_hour_with_more_traffic_does_not_count_against_the_candidate(name):
    control, candidate = STRETCHES[name]
    empty = type(control[0])()
    pooled = difference_of(summed(control, empty), summed(candidate, empty), ALPHA)
    found = difference_of(control, candidate, ALPHA)

    assert pooled.low > 0
    assert found.low < 0 < found.high
    assert found.estimate == pytest.approx(0, abs=1e-3)


def test_a_bad_hour_does_not_count_against_the_candidates_quantile_either(rng):
    fast, slow = (histogram(rng.lognormal(at, 0.3, 4000)) for at in (0, 2))
    control, candidate = [fast, slow.scaled(0.1)], [fast.scaled(0.01), slow.scaled(0.1)]
    pooled = ratio_of(
        summed(control, Histogram()), summed(candidate, Histogram()), ALPHA, level=0.5
    )
    found = ratio_of(control, candidate, ALPHA, level=0.5)

    assert pooled.low > 1
    assert found.low < 1 < found.high


def test_a_candidate_that_breaks_only_in_the_second_stretch_is_found():
    control = [Proportion(9900, 10), Proportion(900, 1)]
    candidate = [Proportion(100, 0), Proportion(15, 15)]

    assert difference_of(control, candidate, ALPHA).low > 0.01


def test_stretches_in_which_an_arm_has_no_values_do_not_matter():
    arms = [Proportion(500, 4)], [Proportion(300, 9)]
    found = difference_of([*arms[0], Proportion()], [*arms[1], Proportion(40, 40)], ALPHA)

    assert found == difference_of(*arms, ALPHA)


@pytest.mark.parametrize(
    ("control", "candidate"),
    [
        (Proportion(), Proportion(5, 1)),
        (Moments(), Moments()),
        (Histogram(), Histogram({1: 5})),
        ([Moments(1, 1, 1)], [Moments(500, 1, 1)]),
        ([Ratio(5)], [Ratio(5)]),
    ],
)
@pytest.mark.parametrize("between", [difference_of, ratio_of])
def test_an_arm_without_values_leaves_everything_open(between, control, candidate):
    found = between(control, candidate, ALPHA, level=0.5)

    assert (found.estimate, found.low, found.high) == (None, None, None)


@pytest.mark.parametrize(
    ("control", "candidate", "level", "reason"),
    [
        (Moments(), Proportion(), None, "do not compare"),
        ([Moments()], [Moments(), Moments()], None, "do not compare"),
        ([], [], None, "do not compare"),
        (Histogram(), Histogram(), None, "needs a level"),
        (Histogram(), Histogram(), 1.0, "needs a level"),
    ],
)
def test_what_cannot_be_compared_is_refused(control, candidate, level, reason):
    with pytest.raises(ValueError, match=reason):
        difference_of(control, candidate, ALPHA, level=level)


def test_intervals_are_json_with_null_for_what_is_open():
    found = ratio_of(Proportion(500, 0), Proportion(500, 5), ALPHA)

    assert msgspec.json.decode(msgspec.json.encode(found)) == {
        "n": 1000,
        "estimate": None,
        "low": found.low,
        "high": None,
    }
