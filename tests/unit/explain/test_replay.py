"""A decision that was kept, made again, is the same to the bit: for every type of router."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar import facts
from sidecar.choose import STRATEGIES
from sidecar.decide import decide
from sidecar.errors import RequestError
from sidecar.explain import Record, explain_record, replay
from sidecar.explain.explaining import encode
from sidecar.model import Entropy, Recall
from tests.unit.explain import shop

PATH = "/v1/chat/completions"


def test_every_type_of_router_is_tested_here():
    assert set(STRATEGIES) <= shop.DOCUMENTS.keys(), "add a line to shop.DOCUMENTS"


def outcome(decide_now):
    """What came of it, written out in full: the decision, or the error."""
    try:
        return repr(decide_now())
    except RequestError as error:
        return repr((type(error), error.message, error.param))


def recorded(kind, form, stats, headers, body, seed, now):
    """Decide with a memory that never says the same twice; return the outcome and the record."""
    snapshot, recall = shop.snapshot(kind, form), Recall(shop.Moody(seed))
    request = facts.read(PATH, headers, body)
    first = outcome(lambda: decide(snapshot, stats, request, Entropy(seed), now, recall))
    return first, Record(PATH, headers, body, len(body), snapshot, stats, seed, now, recall.reads)


@pytest.mark.parametrize("form", shop.FORMS)
@pytest.mark.parametrize("kind", sorted(STRATEGIES))
@settings(max_examples=30, deadline=None)
@given(shop.stats, shop.headers, shop.bodies, shop.seeds, shop.times)
def test_a_replay_is_the_same_to_the_bit(kind, form, stats, headers, body, seed, now):
    first, record = recorded(kind, form, stats, headers, body, seed, now)

    assert outcome(lambda: replay(record)) == first
    assert outcome(lambda: replay(record)) == first, "a replay changes nothing in its record"


@pytest.mark.parametrize("form", shop.FORMS)
@pytest.mark.parametrize("kind", sorted(STRATEGIES))
@settings(max_examples=20, deadline=None)
@given(shop.stats, shop.headers, shop.bodies, shop.seeds, shop.times)
def test_an_explanation_is_of_the_very_decision(kind, form, stats, headers, body, seed, now):
    _, record = recorded(kind, form, stats, headers, body, seed, now)

    explained = msgspec.json.decode(encode(explain_record(record)))

    assert explained["id"] == record.id
    try:
        decision = replay(record)
    except RequestError as error:
        assert explained["refusal"]["code"] == error.code
        return
    assert explained["id"] == decision.id
    assert explained["route"] == decision.route
    plan = explained["plan"]
    assert plan["strategy"] == decision.plan.strategy
    assert plan["probability"] == pytest.approx(decision.plan.probability, rel=1e-15)
    names = [attempt.backend.name for attempt in decision.plan.attempts]
    assert [attempt["backend"] for attempt in plan["attempts"]] == names
    assert [router["type"] for router in explained["routers"]][-1:] == [
        "fallback" if decision.route == "(default)" else decision.plan.strategy.split("/")[0]
    ]


@given(shop.seeds, st.integers(0, 4_000_000_000_000))
def test_an_id_holds_seed_and_time(seed, milliseconds):
    first, record = recorded("random", "alone", shop.Stats(), {}, b"{}", seed, milliseconds / 1000)

    assert record.id == f"{milliseconds:012x}{seed:016x}"
    assert record.id in first
