"""Pins by themselves; what Redis does with the writes is tested with a real one."""

import math

import pytest

from sidecar.memory.pins import LONGEST_SECONDS, Pins, Write


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pins(clock):
    return Pins(clock, most=3, most_writes=4)


def settled(pins, **stored):
    """Let Redis store what waits, but for what it has ``stored`` already."""
    writes = pins.take(100)
    pins.settle({key: stored.get(key, write.target) for key, write in writes.items()})


def test_a_pin_holds_until_its_time_is_over(pins, clock):
    pins.set("s", "mini", 10)

    clock.now += 9.9
    assert pins.get("s") == "mini"
    clock.now += 0.1
    assert pins.get("s") is None


def test_a_first_pin_does_not_overwrite_and_a_moved_one_does(pins):
    pins.set("s", "mini", 10)
    assert pins.waiting == {"s": Write("mini", 10, move=False)}
    settled(pins)

    pins.set("s", "deep", 10)
    assert pins.waiting == {"s": Write("deep", 10, move=True)}


def test_a_pin_is_prolonged_when_a_quarter_of_its_time_is_over(pins, clock):
    pins.set("s", "mini", 100)
    settled(pins)

    clock.now += 24
    pins.set("s", "mini", 100)
    assert pins.waiting == {}
    clock.now += 1
    pins.set("s", "mini", 100)
    assert pins.waiting == {"s": Write("mini", 100, move=False)}
    clock.now += 99
    assert pins.get("s") == "mini"


def test_a_pin_that_is_over_is_a_first_one_again(pins, clock):
    pins.set("s", "mini", 10)
    settled(pins)
    clock.now += 10

    pins.set("s", "deep", 10)

    assert pins.waiting == {"s": Write("deep", 10, move=False)}


def test_a_first_pin_gives_way_to_the_stored_one(pins):
    pins.set("s", "mini", 10)

    settled(pins, s="deep")

    assert pins.get("s") == "deep"


def test_a_pin_that_was_changed_meanwhile_does_not_give_way(pins):
    pins.set("s", "mini", 10)
    pins.take(100)
    pins.set("s", "large", 10)

    pins.settle({"s": "deep"})

    assert pins.get("s") == "large"
    assert pins.waiting["s"].move


def test_what_others_pinned_is_learnt_and_forgotten_in_time(pins, clock):
    pins.learn("s", "deep", 10)
    assert pins.get("s") == "deep"
    assert pins.waiting == {}

    clock.now += 10
    assert pins.get("s") is None


@pytest.mark.parametrize("news", [("", 10), ("deep", 0), ("deep", -2)])
def test_news_without_a_target_or_a_time_make_forget(pins, news):
    pins.learn("s", "mini", 10)

    pins.learn("s", *news)

    assert pins.get("s") is None


@pytest.mark.parametrize("sent", [True, False])
def test_news_do_not_undo_a_move_that_is_under_way(pins, sent):
    pins.learn("s", "mini", 10)
    pins.set("s", "deep", 10)
    if sent:
        pins.take(100)

    pins.learn("s", "large", 10)

    assert pins.get("s") == "deep"


def test_writes_that_failed_are_sent_again(pins):
    pins.set("s", "mini", 10)
    pins.take(100)
    assert pins.waiting == {}

    pins.restore()

    assert pins.waiting == {"s": Write("mini", 10, move=False)}


def test_a_move_that_failed_is_one_still_when_the_pin_was_prolonged_meanwhile(pins, clock):
    pins.learn("s", "mini", 10)
    pins.set("s", "deep", 10)
    pins.take(100)
    clock.now += 5
    pins.set("s", "deep", 10)

    pins.restore()

    assert pins.waiting == {"s": Write("deep", 10, move=True)}


def test_a_move_stays_one_when_it_is_written_again_before_it_was_sent(pins, clock):
    pins.learn("s", "mini", 10)
    pins.set("s", "deep", 10)
    clock.now += 5

    pins.set("s", "deep", 10)

    assert pins.waiting == {"s": Write("deep", 10, move=True)}


def test_of_too_many_pins_the_least_recently_used_is_forgotten(pins):
    for key in "abcad":
        pins.set(key, "mini", 10)

    assert [pins.get(key) for key in "abcd"] == ["mini", None, "mini", "mini"]


def test_of_too_many_writes_the_last_are_dropped_and_counted(pins):
    for key in "abcdefa":
        pins.set(key, "mini", 10)

    assert (list(pins.waiting), pins.dropped) == ([*"abcd"], 2)
    assert pins.get("f") == "mini", "it counts here all the same"


def test_writes_are_taken_in_batches_in_their_order(pins):
    for key in "abc":
        pins.set(key, "mini", 10)

    assert [*pins.take(2)] == [*"ab"]
    assert [*pins.waiting] == ["c"]


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_a_pin_without_a_time_is_none(pins, seconds):
    pins.set("s", "mini", seconds)

    assert (pins.get("s"), pins.waiting) == (None, {})


def test_no_pin_is_longer_than_redis_can_count(pins):
    pins.set("s", "mini", math.inf)

    assert pins.waiting["s"].seconds == LONGEST_SECONDS
