"""What a comparison says: of the same rules nothing, of others exactly what they change."""

import pytest
from hypothesis import given, settings

from sidecar.model import BackendStats, Stats, WindowStats
from sidecar.whatif import REFUSED, Record, compare
from tests.unit.explain import shop
from tests.unit.whatif import past

STATS = Stats(
    backends={
        name: BackendStats({"1m": WindowStats(9, 0, latency, latency / 2)}, in_flight=1)
        for name, latency in [("small", 100.0), ("large", 300.0), ("far", 200.0)]
    }
)
HALVES = {"type": "percentage", "targets": ["small", "large"], "targets_percentages": [50, 50]}
SMALL, LARGE = {"targets": ["small"]}, {"targets": ["large"]}


def moves(found):
    return {(move.before, move.after): move.n for move in found}


@pytest.mark.parametrize("form", shop.FORMS)
@pytest.mark.parametrize("kind", sorted(shop.DOCUMENTS))
def test_the_same_rules_change_nothing(kind, form):
    snapshot = shop.snapshot(kind, form)
    headers = {"x-user-id": "ann", "x-session-id": "s", "x-region": "eu"}
    memory = shop.Moody(3)
    records = past.records(snapshot, 40, stats=STATS, headers=headers, memory=memory)

    for base in (snapshot, None):
        found = compare(base, snapshot, records, STATS)
        assert (found.compared, found.changed_share, found.rest_changed) == (40, 0, 0), found
    assert (compare(snapshot, snapshot, records, STATS).reproduced) == 40


@settings(max_examples=25, deadline=None)
@given(seeds=shop.st.lists(shop.seeds, min_size=1, max_size=30, unique=True))
def test_the_share_of_changes_counts_what_another_share_draws_otherwise(seeds):
    other = past.rules(HALVES | {"targets_percentages": [80, 20]})
    halves = past.rules(HALVES)
    records = [past.record(halves, seed=seed) for seed in seeds]
    expected = [past.record(other, seed=seed).decided.backends[0] for seed in seeds]

    found = compare(None, other, records, Stats())

    before = [record.decided.backends[0] for record in records]
    assert found.changed == sum(a != b for a, b in zip(before, expected, strict=True))


def test_with_the_same_draws_no_more_changes_than_must():
    halves = past.rules(HALVES)
    other = past.rules(HALVES | {"targets_percentages": [60, 40]})

    found = compare(halves, other, past.records(halves, 400), Stats())

    assert found.changed_share == pytest.approx(0.1, abs=0.05)
    assert moves(found.backends).keys() == {
        ("small", "small"),
        ("large", "large"),
        ("large", "small"),
    }
    assert found.shift.mean_distance == pytest.approx(0.1)
    assert found.shift.before == pytest.approx({"large": 0.5, "small": 0.5})
    assert found.shift.after == pytest.approx({"large": 0.4, "small": 0.6})


def test_routes_and_backends_are_counted_from_where_to_where():
    base = past.rules({"all": {"router": {"type": "fallback", "targets": ["small"]}}})
    premium = {"match": {"user.tier": "gold"}, "router": {"type": "fallback", "targets": ["large"]}}
    rest = {"order": 200, "router": {"type": "fallback", "targets": ["small"]}}
    candidate = past.rules({"premium": premium, "all": rest})
    records = past.records(base, 3, headers={"x-user-tier": "gold"}) + past.records(base, 2)

    found = compare(base, candidate, records, Stats())

    assert moves(found.routes) == {("all", "premium"): 3, ("all", "all"): 2}
    assert moves(found.backends) == {("small", "large"): 3, ("small", "small"): 2}
    assert found.changed_share == 0.6


def test_another_fallback_or_parameter_is_told_apart():
    base = past.rules({"targets": ["small", "large"]})
    records = past.records(base, 4)
    others = [["small", "far"], [{"model": "small", "temperature": 1}, "large"]]

    for targets in others:
        found = compare(base, past.rules({"targets": targets}), records, Stats())
        assert (found.changed, found.rest_changed) == (0, 4)


def test_requests_of_which_a_fact_is_missing_are_counted_by_its_name():
    base = past.rules({"targets": ["small"]})
    asked = {"match": {"headers.x-new": "1"}, "router": {"type": "fallback", "targets": ["large"]}}

    found = compare(base, past.rules({"new": asked}), past.records(base, 5), Stats())

    assert (found.records, found.compared, found.changed_share) == (5, 0, None)
    assert found.cannot_tell == {"headers.x-new": 5}


def test_refusals_and_warnings_are_counted_by_code():
    base = past.rules({"targets": ["small"]})
    needy = {"endpoints": ["http://127.0.0.1:1"], "limits": {"max_context_size": 1}}
    small = {"backends": {"needy": needy}, "routes": {}}
    candidate = past.compile_snapshot(past.Documents.of(small), version=1)

    found = compare(base, candidate, past.records(base, 3), Stats())

    assert moves(found.backends) == {("small", REFUSED): 3}
    assert found.refusals.after == {"no_candidate": 3}
    assert found.refusals.before == {}
    assert found.warnings.after == {"unknown_model": 3, "no_candidate": 3}


def test_expected_cost_is_that_of_the_tokens_of_then():
    base, candidate = past.rules(SMALL), past.rules(LARGE)
    records = past.records(base, 4, input_tokens=100, output_tokens=50) + past.records(base, 1)

    cost = compare(base, candidate, records, Stats()).cost_usd

    assert (cost.n, cost.unknown) == (4, 1)
    assert cost.before == pytest.approx(100e-6)
    assert cost.difference == pytest.approx(900e-6)


def test_expected_latency_is_the_mean_of_the_backends_recorded_answers():
    base, candidate = past.rules(HALVES), past.rules(LARGE)
    records = [
        past.record(base, seed=seed, answered=True, backend=name, latency_ms=latency)
        for seed in range(10)
        for name, latency in [("small", 100.0), ("large", 250.0)]
    ]

    latency = compare(base, candidate, records, Stats()).latency_ms

    assert latency.n == 20
    assert latency.after == pytest.approx(250)
    assert compare(base, past.rules({"targets": ["far"]}), records, Stats()).latency_ms.n == 0


def test_turns_that_nobody_took_then_are_taken_in_the_replay():
    base = past.rules({"targets": ["small"]})
    turns = past.rules({"type": "round_robin", "targets": ["small", "large"]})

    found = compare(base, turns, past.records(base, 10), Stats())

    assert moves(found.backends) == {("small", "small"): 5, ("small", "large"): 5}


def test_a_record_whose_decision_is_not_known_yet_is_still_compared_with_live_rules():
    base = past.rules(SMALL)
    bare = [Record(one.id, one.facts) for one in past.records(base, 3)]

    assert compare(base, past.rules(LARGE), bare, Stats()).changed == 3
    assert compare(None, past.rules(LARGE), bare, Stats()).cannot_tell == {
        "the decision of then": 3
    }
