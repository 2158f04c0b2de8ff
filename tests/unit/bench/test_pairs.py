"""Measuring in pairs."""

import pytest

from bench.pairs import Spread, pairs_of
from bench.table import REACHED, Row


async def test_pairs_are_measured_in_turn():
    seen = []

    async def measure(name):
        seen.append(name)
        return len(seen)

    pairs = await pairs_of(lambda: measure("a"), lambda: measure("b"), 3)

    assert seen == ["a", "b"] * 3
    assert pairs == [(1, 2), (3, 4), (5, 6)]


def test_a_spread_is_the_median_the_least_and_the_greatest():
    assert Spread.of([5, 1, 2]) == (2, 1, 5)
    assert Spread.of([0.61234, 0.7]).range == "0.612 to 0.7"
    with pytest.raises(ValueError, match="empty"):
        Spread.of([])


def test_a_note_goes_into_brackets():
    assert Row.at_most("a", 4, 5, "ms", note="3 to 6") == Row(
        "a", "4 ms (3 to 6)", "≤ 5 ms", REACHED
    )
