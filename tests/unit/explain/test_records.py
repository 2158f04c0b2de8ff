"""What a worker keeps of its decisions is bounded in every direction."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.explain import Record, Records, explain_record, replay
from sidecar.explain.record import MOST_SNAPSHOTS
from sidecar.model import Stats
from tests.unit.explain import shop

SNAPSHOT = shop.snapshot("fallback", "alone")


def record(seed, body=b"{}", size=None, snapshot=SNAPSHOT):
    size = len(body or b"") if size is None else size
    return Record("/v1/chat/completions", {}, body, size, snapshot, Stats(), seed, 2.5, {})


def kept(records):
    return [one.seed for one in records]


def test_the_oldest_make_room():
    records = Records(3)
    for seed in range(5):
        records.keep(record(seed))

    assert kept(records) == [2, 3, 4]
    assert records.find(record(4).id).seed == 4
    assert records.find(record(1).id) is None


def test_with_0_nothing_is_kept():
    records = Records(0)
    records.keep(record(1))

    assert len(records) == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60))
def test_bodies_are_bounded_together(sizes):
    records = Records(10, most_bytes=100)
    for seed, (size, whole) in enumerate(sizes):
        records.keep(record(seed, b"x" * size if whole else None, size))

        assert sum(len(one.body) for one in records if one.body) <= 100
        assert len(records) <= 10
        assert not sizes or kept(records)[-1] == seed


def test_few_generations_of_rules_are_kept_alive():
    records = Records(1000)
    for seed in range(3 * MOST_SNAPSHOTS):
        snapshot = msgspec.structs.replace(SNAPSHOT, digest=str(seed // 2), version=seed)
        records.keep(record(seed, snapshot=snapshot))

    assert len({one.snapshot.digest for one in records}) == MOST_SNAPSHOTS
    assert kept(records) == [*range(MOST_SNAPSHOTS, 3 * MOST_SNAPSHOTS)]


def test_without_its_body_a_decision_cannot_be_made_again():
    for again in (replay, explain_record):
        with pytest.raises(ValueError, match="body was not kept"):
            again(record(1, None, 70_000))
