"""Sums that nodes add up."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.evidence import Histogram, Moments, Proportion, Ratio, design_effect
from sidecar.evidence.histogram import HIGHEST, LOWEST, bottom, bucket, top

VALUES = st.lists(st.floats(0, 1), max_size=20)


def filled(kind, values):
    sums = kind()
    for value in values:
        sums.add(*([value, value + 1] if kind is Ratio else [value]))
    return sums


@pytest.mark.parametrize("kind", [Moments, Proportion, Ratio, Histogram])
@given(mine=VALUES, theirs=VALUES)
def test_the_sums_of_two_nodes_are_those_of_one_that_saw_it_all(kind, mine, theirs):
    merged = filled(kind, mine).merge(filled(kind, theirs))

    whole = filled(kind, [*mine, *theirs])
    if kind is Histogram:
        assert merged == whole
    else:
        assert msgspec.structs.astuple(merged) == pytest.approx(msgspec.structs.astuple(whole))


@pytest.mark.parametrize("kind", [Moments, Proportion, Ratio, Histogram])
def test_sums_go_through_json_unchanged(kind):
    sums = filled(kind, [0.25, 0.5, 1.0])

    assert msgspec.json.decode(msgspec.json.encode(sums), type=kind) == sums


@pytest.mark.parametrize("kind", [Moments, Proportion, Ratio, Histogram])
def test_scaled_sums_keep_the_mean_and_lose_weight(kind):
    half = filled(kind, [0.25, 0.5, 1.0, 1.0]).scaled(0.5)

    assert half.n == 2
    if kind is not Histogram:
        assert half.mean == filled(kind, [0.25, 0.5, 1.0, 1.0]).mean


def test_moments_know_mean_variance_and_skewness():
    sums = filled(Moments, [1, 2, 3, 6])

    assert (sums.n, sums.mean, sums.variance) == (4, 3, pytest.approx(14 / 3))
    # ((1 - 3)^3 + (2 - 3)^3 + (6 - 3)^3) / 4 = 4.5
    assert sums.skewness == pytest.approx(4.5 / (14 / 3) ** 1.5)


def test_without_cubes_nothing_is_made_up_about_skewness():
    assert Moments(4, 12, 50).skewness == 0


def test_a_ratio_is_that_of_the_sums():
    sums = Ratio()
    sums.add(10, 1)
    sums.add(10, 4)

    assert sums.mean == 4


def test_a_ratio_of_fixed_proportion_does_not_vary():
    sums = Ratio()
    for y in (1, 2, 5):
        sums.add(3 * y, y)

    assert sums.variance == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("empty", [Moments(), Proportion(), Ratio()])
def test_nothing_has_no_mean(empty):
    assert math.isnan(empty.mean)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Moments, math.nan),
        (Moments, math.inf),
        (Proportion, 1.5),
        (Proportion, -0.1),
        (Proportion, math.nan),
        (Ratio, math.inf),
        (Histogram, -1.0),
        (Histogram, math.nan),
    ],
)
def test_values_that_would_spoil_the_sums_are_refused(kind, value):
    sums = kind()

    with pytest.raises(ValueError, match="is not"):
        sums.add(*([value, 1.0] if kind is Ratio else [value]))

    assert sums == kind()


@given(value=st.floats(1e-6, 1e9))
def test_a_bucket_holds_its_values_within_two_percent(value):
    place = bucket(value)

    assert bottom(place) <= value * (1 + 1e-9)
    assert value <= top(place) * (1 + 1e-9)
    assert place in {LOWEST, HIGHEST} or top(place) / bottom(place) == pytest.approx(1.02)


@pytest.mark.parametrize(
    ("value", "place"), [(0.0, LOWEST), (1e-30, LOWEST), (1.0, 0), (1e12, HIGHEST)]
)
def test_buckets_are_fixed_and_the_outermost_hold_the_rest(value, place):
    assert bucket(value) == place


@given(values=st.lists(st.floats(1e-3, 1e4), min_size=1), level=st.floats(0.01, 0.99))
def test_a_quantile_is_within_a_percent_of_the_nearest_rank(values, level):
    rank = max(math.ceil(level * len(values) * (1 - 1e-9)), 1)

    assert filled(Histogram, values).quantile(level) == pytest.approx(
        sorted(values)[rank - 1], rel=0.0101
    )


def test_independent_values_have_no_design_effect(rng):
    parts = [filled(Proportion, rng.random(50) < 0.3) for _ in range(64)]

    assert design_effect(parts) < 1.5


def test_users_who_are_all_one_way_have_the_design_effect_of_their_requests(rng):
    parts = [Proportion(20, 20 * float(rng.random() < 0.3)) for _ in range(256)]

    assert design_effect(parts) == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize("parts", [[], [Moments(5, 5, 5)], [Moments(5, 5, 5), Moments(5, 5, 5)]])
def test_without_variety_there_is_no_design_effect(parts):
    assert design_effect(parts) == 1
