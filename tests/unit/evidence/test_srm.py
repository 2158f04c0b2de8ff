"""Did the traffic reach the arms as the shares say?"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.evidence import Assigned, Srm, srm, srm_over

HALVES = {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("counts", "shares", "flag"),
    [
        ({"a": 0, "b": 0}, HALVES, False),
        ({"a": 5000, "b": 5000}, HALVES, False),
        ({"a": 5100, "b": 4900}, HALVES, False),
        ({"a": 5300, "b": 4700}, HALVES, True),
        ({"a": 40, "b": 4}, HALVES, True),
        ({"a": 9900, "b": 100}, {"a": 99, "b": 1}, False),
        ({"a": 9900, "b": 30}, {"a": 99, "b": 1}, True),
        ({"a": 505_000, "b": 495_000}, HALVES, True),
        ({"a": 10, "b": 10, "c": 1}, HALVES, True),
        ({"a": 10, "b": 10, "c": 0}, HALVES, False),
        ({"a": 1000}, HALVES, True),
        ({"a": 1000}, {"a": 100}, False),
        ({}, {}, False),
    ],
    ids=[
        "nothing yet",
        "as it should be",
        "chance",
        "three points off after 10,000",
        "gross after 44",
        "one percent",
        "a canary that loses most of its requests",
        "half a point off after a million",
        "an arm that should have none",
        "an arm that has none and should",
        "an arm that never comes",
        "a single arm",
        "no arms",
    ],
)
def test_a_mismatch_is_flagged_and_chance_is_not(counts, shares, flag):
    assert srm(counts, shares).flag is flag


def test_one_draw_tells_nothing():
    assert srm({"a": 1}, HALVES) == Srm(1.0, False)


@given(st.integers(0, 12), st.sampled_from([(1, 1), (9, 1), (1, 2)]))
def test_the_evidence_is_one_on_average_whatever_the_shares(n, weights):
    share = weights[0] / sum(weights)
    shares = dict(zip("ab", weights, strict=True))
    mean = math.fsum(
        math.comb(n, k)
        * share**k
        * (1 - share) ** (n - k)
        * math.exp(log_evidence({"a": k, "b": n - k}, shares))
        for k in range(n + 1)
    )

    assert mean == pytest.approx(1)


def log_evidence(counts, shares):
    from sidecar.evidence.srm import log_e_value

    return log_e_value(Assigned(counts, shares))


def test_shares_that_changed_are_judged_each_by_their_own_time():
    first = Assigned({"a": 9900, "b": 100}, {"a": 99, "b": 1})
    second = Assigned({"a": 5000, "b": 5000}, HALVES)
    pooled = srm({"a": 14_900, "b": 5100}, HALVES)

    assert pooled.flag
    assert not srm_over([first, second]).flag


def test_a_mismatch_in_one_stretch_is_not_made_good_by_the_opposite_in_another():
    stretches = [Assigned({"a": 5400, "b": 4600}, HALVES), Assigned({"a": 4600, "b": 5400}, HALVES)]

    assert srm_over(stretches).flag


def test_the_level_of_the_flag_can_be_set():
    counts = {"a": 5200, "b": 4800}

    assert not srm(counts, HALVES).flag
    assert srm(counts, HALVES, below=0.05).flag
