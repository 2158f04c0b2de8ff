"""Pace and faults of a simulated model."""

import msgspec
import pytest

from sidecar.demo.behaviour import Behaviour, Dial


def test_a_patch_changes_what_it_names_and_nothing_else():
    before = Behaviour(latency_ms=7, hang=True)
    after = before.merge(b'{"status":503,"hang":false}')

    assert after == Behaviour(latency_ms=7, status=503)
    assert before.hang


@pytest.mark.parametrize(
    ("patch", "place"),
    [
        (b'{"status":"500"}', r"\$\.status"),
        (b'{"status":302}', r"\$\.status"),
        (b'{"statsu":500}', "statsu"),
        (b'{"tokens_per_second":-1}', r"\$\.tokens_per_second"),
    ],
)
def test_a_wrong_patch_is_refused_with_its_place(patch, place):
    with pytest.raises(msgspec.ValidationError, match=place):
        Behaviour().merge(patch)


def test_after_its_times_a_dial_is_back_at_the_start():
    dial = Dial(Behaviour(latency_ms=7))
    dial.merge(b'{"status":500,"latency_ms":1,"times":2}')

    assert [dial.take().status for _ in range(3)] == [500, 500, None]
    assert dial.now == dial.start


def test_without_times_a_fault_stays_until_reset():
    dial = Dial(Behaviour())
    dial.merge(b'{"status":500}')

    assert [dial.take().status for _ in range(3)] == [500, 500, 500]
    dial.reset()
    assert dial.take().status is None


def test_tokens_are_due_at_the_pace_after_the_first():
    behaviour = Behaviour(first_token_ms=100, tokens_per_second=50)

    assert behaviour.seconds_until(0) == pytest.approx(0.1)
    assert behaviour.seconds_until(10) == pytest.approx(0.3)
    slow = msgspec.structs.replace(behaviour, slow_first_token_ms=2000.0, tokens_per_second=0.0)
    assert slow.seconds_until(10) == pytest.approx(2.0)


def test_retry_after_alone_means_429_and_a_status_wins():
    assert Behaviour(retry_after=3).error_status == 429
    assert Behaviour(retry_after=3, status=503).error_status == 503
    assert Behaviour().error_status is None
