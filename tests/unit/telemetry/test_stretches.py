"""Stretches of equal shares: where they begin, what came in each, and the test of the split."""

import random

import msgspec
import pytest

from sidecar.evidence import Moments
from sidecar.telemetry.experiments import ArmStats, Measured
from sidecar.telemetry.stretches import (
    MOST_STRETCHES,
    Record,
    crowding,
    decode,
    followed,
    settling_seconds,
    srm_of,
)
from tests.unit.telemetry.arms import arm

NEW, LATER = {"old": 95.0, "new": 5.0}, {"old": 80.0, "new": 20.0}


def arms(old, new):
    return {"old": arm(old), "new": arm(new)}


def climbed():
    """A record that has seen 1,000 requests at 5 %, then 20 %, whose stragglers are in."""
    first = arms(950, 50)
    record = followed(None, NEW, {}, {}, 100.0)
    record = followed(record, LATER, arms(955, 52), first, 200.0)
    return followed(record, LATER, arms(1000, 60), first, 204.0)


def test_the_first_stretch_has_everything_since_the_first_request():
    record = followed(None, NEW, arms(10, 1), arms(10, 1), 100.0)

    assert [part["old"].assigned for part in record.parts(arms(10, 1))] == [10]
    assert record.last.settled


def test_without_a_change_the_record_stays_what_it_is():
    record = followed(None, NEW, {}, {}, 100.0)

    assert followed(record, NEW, arms(10, 1), {}, 101.0) is record


def test_a_change_of_shares_ends_a_stretch_at_the_last_sums_of_the_old_shares():
    record = climbed()

    old, between, new = record.parts(arms(1400, 160))
    assert (old["old"].assigned, old["new"].assigned) == (950, 50)
    assert (between["old"].assigned, between["new"].assigned) == (50, 10)
    assert (new["old"].assigned, new["new"].assigned) == (400, 100)
    assert [each.settled for each in record.stretches] == [True, False, True]
    assert record.since == 200.0


def test_a_stretch_settles_when_the_slowest_answers_are_in():
    slow = {"new": arm(100, latency=[30_000.0] * 100), "old": arm(100)}
    record = followed(followed(None, NEW, {}, {}, 0.0), LATER, slow, slow, 100.0)

    assert settling_seconds(slow) == pytest.approx(33, rel=0.02)
    assert followed(record, LATER, slow, slow, 130.0) is record
    assert followed(record, LATER, slow, slow, 134.0).last.settled


def test_stragglers_of_the_shares_before_are_no_mismatch():
    stats = {"old": arm(1400), "new": arm(160)}

    assert srm_of(climbed(), stats).p_value > 0.1
    # The same sums, taken as one stretch of the present shares, would cry wolf.
    assert srm_of(followed(None, LATER, {}, {}, 0.0), stats).flag


def test_a_split_that_is_wrong_in_one_stretch_is_flagged():
    assert srm_of(climbed(), {"old": arm(1300), "new": arm(260)}).flag


def test_an_arm_without_a_share_may_still_get_what_was_decided_before():
    shares = {"old": 100.0, "new": 0.0}
    first = arms(950, 50)
    record = followed(followed(None, NEW, {}, {}, 0.0), shares, first, first, 1.0)
    record = followed(record, shares, first, first, 9.0)

    assert srm_of(record, arms(2000, 51)).p_value > 0.1


def test_a_heavy_user_is_no_mismatch():
    """A tenth of all requests come from one user of the small arm."""
    stats = {"old": arm(9500), "new": arm(500)}
    heavy = stats["new"].metrics["error_rate"].parts[3]
    stats["new"].assigned += 1000
    heavy.n += 1000
    record = followed(None, NEW, {}, {}, 0.0)

    assert crowding(stats) > 300
    assert not srm_of(record, stats).flag
    heavy.n -= 1000
    assert srm_of(record, stats).flag


@pytest.mark.parametrize("seed", range(5))
def test_single_requests_of_many_units_do_not_crowd(seed):
    draw = random.Random(seed)
    parts = [draw.randrange(32) for _ in range(3000)]
    counts = {place: Moments(parts.count(place)) for place in set(parts)}
    stats = {"a": ArmStats(3000, 0, {"error_rate": Measured(Moments(3000), parts=counts)})}

    assert 1 <= crowding(stats) < 2


def test_sums_that_redis_lost_start_the_record_anew():
    record = followed(climbed(), LATER, arms(3, 1), {}, 300.0)

    assert len(record.stretches) == 1
    assert record.parts(arms(3, 1))[0]["old"].assigned == 3


def test_a_record_of_endless_edits_stays_bounded_and_adds_up():
    record, stats = None, arms(0, 0)
    for number in range(3 * MOST_STRETCHES):
        shares = {"old": 100.0 - number % 50, "new": number % 50 + 0.0}
        record = followed(record, shares, stats, stats, float(number))
        stats = arms(number * 10, number)

    assert len(record.stretches) == MOST_STRETCHES
    assert sum(part["old"].assigned for part in record.parts(stats)) == stats["old"].assigned


def test_a_record_is_json_and_a_spoiled_one_is_none():
    record = climbed()

    assert decode(msgspec.json.encode(record)) == record
    assert isinstance(record, Record)
    assert [decode(text) for text in (None, b"{", b'{"stretches":[]}', b"\xff", b"7")] == [None] * 5
