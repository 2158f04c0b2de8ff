"""A decision that was kept, made again, is the same to the bit: for every type of router."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar import facts
from sidecar.choose import STRATEGIES
from sidecar.decide import decide
from sidecar.errors import RequestError
from sidecar.explain import Record, encode, explain_record, replay
from sidecar.model import Entropy, Recall
from tests.unit.explain import shop

PATH = "/v1/chat/completions"
every_router = pytest.mark.parametrize(
    ("kind", "form"), [(kind, form) for kind in sorted(STRATEGIES) for form in shop.FORMS]
)
worlds = st.tuples(shop.stats, shop.headers, shop.bodies, shop.seeds, shop.times)


def test_every_type_of_router_is_tested_here():
    assert set(STRATEGIES) <= shop.DOCUMENTS.keys(), "add a line to shop.DOCUMENTS"


def outcome(decide_now):
    """What came of it, written out in full: the decision, or the error."""
    try:
        return repr(decide_now())
    except RequestError as error:
        return repr((type(error), error.message, error.param))


def recorded(kind, form, world):
    """Decide with a memory that never says the same twice; return the outcome and the record."""
    stats, headers, body, seed, now = world
    snapshot, recall = shop.snapshot(kind, form), Recall(shop.Moody(seed))
    request = facts.read(PATH, headers, body)
    first = outcome(lambda: decide(snapshot, stats, request, Entropy(seed), now, recall))
    record = Record(PATH, headers, body, len(body), snapshot, stats, seed, now, recall.reads)
    return first, record


@every_router
@settings(max_examples=30, deadline=None)
@given(world=worlds)
def test_a_replay_is_the_same_to_the_bit(kind, form, world):
    first, record = recorded(kind, form, world)

    assert outcome(lambda: replay(record)) == first
    assert outcome(lambda: replay(record)) == first, "a replay changes nothing in its record"


def decided(record):
    """What a decision says of itself, as an explanation writes it."""
    try:
        decision = replay(record)
    except RequestError as error:
        return {"refusal": error.code}
    plan = decision.plan
    return {
        "id": decision.id,
        "route": decision.route,
        "strategy": plan.strategy,
        "probability": plan.probability,
        "attempts": [attempt.backend.name for attempt in plan.attempts],
        "warnings": list(decision.warnings),
        "last": "fallback" if decision.route == "(default)" else plan.strategy.split("/")[0],
    }


def said(explained):
    plan, refusal = explained["plan"], explained["refusal"]
    if refusal:
        return {"refusal": refusal["code"]}
    return {
        "id": explained["id"],
        "route": explained["route"],
        "strategy": plan["strategy"],
        "probability": plan["probability"],
        "attempts": [attempt["backend"] for attempt in plan["attempts"]],
        "warnings": explained["warnings"],
        "last": explained["routers"][-1]["type"],
    }


@every_router
@settings(max_examples=20, deadline=None)
@given(world=worlds)
def test_an_explanation_is_of_the_very_decision(kind, form, world):
    _, record = recorded(kind, form, world)

    assert said(msgspec.json.decode(encode(explain_record(record)))) == decided(record)


@given(shop.seeds, st.integers(0, 4_000_000_000_000))
def test_an_id_holds_seed_and_time(seed, milliseconds):
    world = shop.Stats(), {}, b"{}", seed, milliseconds / 1000
    first, record = recorded("random", "alone", world)

    assert record.id == f"{milliseconds:012x}{seed:016x}"
    assert record.id in first
