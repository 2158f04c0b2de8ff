"""Counts by themselves; what Redis adds up is tested with a real one."""

import math

import pytest

from sidecar.memory.counts import LONGEST_SECONDS, STALE_SECONDS, UNKNOWN_SECONDS, Counts, Told


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def counts(clock):
    return Counts(clock, most=3, most_writes=4)


def test_what_is_counted_here_counts_at_once(counts):
    counts.add("k", 2, 60)
    counts.add("k", 0.5, 60)

    assert counts.get("k") == 2.5
    assert counts.waiting == {"k": (2.5, 60)}


def test_a_total_that_was_told_is_under_what_was_counted_since(counts):
    counts.add("k", 2, 60)
    counts.take(100)
    counts.add("k", 1, 60)

    counts.settle({"k": Told(10.0, 30.0)})

    assert counts.get("k") == 11.0
    assert counts.waiting == {"k": (1.0, 60)}


def test_what_is_on_its_way_counts_as_well(counts):
    counts.add("k", 2, 60)
    counts.take(100)

    assert counts.get("k") == 2


def test_what_may_not_have_been_added_is_added_again(counts):
    counts.add("k", 2, 60)
    counts.take(100)
    counts.add("k", 1, 60)

    counts.restore()

    assert (counts.get("k"), counts.waiting) == (3, {"k": (3.0, 60)})


def test_a_count_is_forgotten_when_its_time_is_over(counts, clock):
    counts.add("k", 2, 60)
    clock.now += 30
    counts.add("k", 2, 60)
    clock.now += 29.9
    assert counts.get("k") == 4
    clock.now += 0.1

    assert counts.get("k") == 0


def test_the_time_is_that_of_redis_once_it_is_told(counts, clock):
    counts.add("k", 2, 60)
    counts.take(100)
    counts.settle({"k": Told(2.0, 5.0)})

    clock.now += 5
    assert counts.get("k") == 0


def test_a_key_that_is_not_known_is_asked_for_when_it_is_read(counts):
    assert counts.get("k") == 0
    assert counts.waiting == {"k": (0.0, 0.0)}
    counts.take(100)
    counts.settle({"k": Told(7.0, 60.0)})

    assert counts.get("k") == 7
    assert counts.waiting == {}


def test_that_there_is_nothing_is_known_for_a_while(counts, clock):
    counts.get("k")
    counts.take(100)
    counts.settle({"k": Told(0.0, -2.0)})

    assert (counts.get("k"), counts.waiting) == (0, {})
    clock.now += UNKNOWN_SECONDS
    assert (counts.get("k"), [*counts.waiting]) == (0, ["k"])


def test_an_old_total_is_asked_for_again_once(counts, clock):
    counts.add("k", 2, 60)
    counts.take(100)
    counts.settle({"k": Told(2.0, 60.0)})
    clock.now += STALE_SECONDS

    assert counts.get("k") == 2
    assert counts.waiting == {"k": (0.0, 0.0)}
    counts.take(100)
    assert counts.get("k") == 2
    assert counts.waiting == {}


def test_of_too_many_keys_the_least_recently_used_is_forgotten(counts):
    for key in "abcad":
        counts.add(key, 1, 60)

    assert counts.dropped == 0
    assert [counts.get(key) for key in "abcd"] == [2, 0, 1, 1]


def test_of_too_many_amounts_the_last_are_dropped_and_counted(counts):
    for key in "abcdef":
        counts.add(key, 1, 60)

    assert ([*counts.waiting], counts.dropped) == ([*"abcd"], 2)


def test_questions_leave_room_for_amounts(counts):
    for key in "abcd":
        counts.get(key)
    for key in "xy":
        counts.add(key, 1, 60)

    assert ([*counts.waiting], counts.dropped) == ([*"abxy"], 0)


def test_amounts_that_find_no_room_after_a_failure_are_counted_as_dropped(counts):
    counts.add("k", 1, 60)
    counts.get("l")
    counts.take(100)
    for key in "abcd":
        counts.add(key, 1, 60)

    counts.restore()

    assert ([*counts.waiting], counts.dropped) == ([*"abcd"], 1)


@pytest.mark.parametrize(
    ("amount", "seconds"), [(math.nan, 60), (math.inf, 60), (0, 60), (1, 0), (1, -1), (1, math.nan)]
)
def test_what_is_no_amount_or_has_no_time_is_not_counted(counts, amount, seconds):
    counts.add("k", amount, seconds)

    assert counts.waiting == {}


def test_no_count_lives_longer_than_redis_can_count(counts):
    counts.add("k", 1, math.inf)

    assert counts.waiting["k"].seconds == LONGEST_SECONDS


def test_amounts_can_be_taken_back(counts):
    counts.add("k", 3, 60)
    counts.add("k", -1, 60)

    assert (counts.get("k"), counts.waiting["k"].amount) == (2, 2)
