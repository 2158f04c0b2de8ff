"""Calls that do not come back."""

import threading
import time

import pytest

from sidecar.choose.script.deadline import MOST_STUCK, Late, stuck, within


def all_released():
    """Wait for the threads that were given up; tell whether they have ended."""
    for _ in range(1000):
        if not stuck():
            return True
        time.sleep(0.01)
    return False


def test_a_call_gives_what_it_returns():
    assert within(10, lambda: threading.current_thread().name) == "script"


def test_a_call_that_does_not_come_back_is_given_up_and_with_many_of_them_none_is_made():
    ended, made = threading.Event(), []
    try:
        for number in range(MOST_STUCK):
            with pytest.raises(Late):
                within(0.001, ended.wait)
            assert stuck() == number + 1
        with pytest.raises(Late):
            within(10, lambda: made.append(1))
    finally:
        ended.set()

    assert all_released()
    assert made == []
    assert within(10, lambda: "again") == "again"
