"""Recorded facts decide as the request itself did, or say which fact is missing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar import facts, whatif
from sidecar.decide import decide, decision_id
from sidecar.errors import RequestError
from sidecar.model import Entropy, Recall
from sidecar.whatif import REFUSED, CannotTell, Record, replay
from tests.unit.explain import shop
from tests.unit.whatif import past

every_router = pytest.mark.parametrize(
    ("kind", "form"), [(kind, form) for kind in sorted(shop.DOCUMENTS) for form in shop.FORMS]
)
worlds = st.tuples(shop.stats, shop.headers, shop.bodies, shop.seeds, shop.times)


@every_router
@settings(max_examples=25, deadline=None)
@given(world=worlds)
def test_the_same_rules_decide_the_same_by_facts_alone(kind, form, world):
    stats, headers, body, seed, now = world
    snapshot, recall = shop.snapshot(kind, form), Recall(shop.Moody(seed))
    request = facts.read(past.PATH, headers, body, keys=snapshot.keys)
    try:
        made = decide(snapshot, stats, request, Entropy(seed), now, recall)
        expected = made.route, made.plan, "", made.warnings
    except RequestError as error:
        expected = REFUSED, None, error.code, None
    taken = whatif.decode(whatif.encode(whatif.take(request, [*headers], recall.reads)))

    found = replay(snapshot, stats, Record(decision_id(seed, now), taken))

    assert not isinstance(found, CannotTell), found
    assert (found.route, found.plan, found.refusal) == expected[:3]
    assert expected[3] in (None, found.warnings)


def conditional(match, **kinds):
    routes = {
        "asked": {"order": 1, "match": match, "router": {"type": "fallback", "targets": ["large"]}},
        "rest": {"order": 2, "router": {"type": "fallback", "targets": ["small"]}},
    }
    return past.rules(routes, **kinds)


KNOWN = {
    "operation": {"operation": "chat"},
    "model": {"model": "any"},
    "stream": {"stream": True},
    "user": {"user.id": "ann", "user.tenant": "acme", "user.tags": {"contains": "vip"}},
    "session": {"session": "s-1"},
    "max_tokens": {"max_tokens": 50},
    "price": {"max_cost_per_token": {"lt": 1}},
    "region": {"region": "eu"},
    "header": {"headers.x-team": "red"},
    "no header": {"headers.x-team": {"exists": False}},
    "number in the body": {"body.temperature": {"lt": 0.5}},
    "nothing in the body": {"body.seed": {"exists": False}},
    "time": {"time.weekday": "fri"},
    "prompt": {"prompt.chars": {"lt": 100}, "prompt.has_code": False, "prompt.language": "und"},
    "expression": {"expr": "prompt.tokens < 10 && user.tier == 'gold'"},
}
HEADERS = {
    "x-user-tier": "gold",
    "x-tenant-id": "acme",
    "x-session-id": "s-1",
    "x-region": "eu",
    "x-team": "red",
}
BODY = past.body(
    stream=True,
    max_tokens=50,
    temperature=0.2,
    max_cost_per_token=1e-6,
    extra={"user": {"id": "ann", "tags": ["vip"]}},
)


@pytest.mark.parametrize("match", KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("asked", [True, False], ids=["all there", "nothing there"])
def test_facts_of_every_kind_are_read_as_the_request_has_them(match, asked):
    snapshot = conditional(match)
    given = {"headers": HEADERS, "given": BODY} if asked else {}
    taken = past.record(snapshot, **given)

    found = replay(snapshot, past.Stats(), taken)

    assert (found.route, found.backend) == (taken.decided.route, taken.decided.backends[0])


UNKNOWN = {
    "prompt.text": {"prompt.text": {"contains": "x"}},
    "prompt.keywords": {"prompt.keywords": {"contains": "x"}},
    "body.metadata": {"metadata.team": "red"},
    "body.messages": {"body.messages[0].role": "user"},
    "headers.x-new": {"headers.x-new": "1"},
    "api_key": {"api_key": "0123456789abcdef"},
}


@pytest.mark.parametrize(("fact", "match"), UNKNOWN.items(), ids=UNKNOWN)
def test_a_decision_by_a_fact_that_was_not_recorded_cannot_be_told(fact, match):
    taken = past.record(past.rules({"targets": ["small"]}), given=past.body(metadata={"team": "x"}))

    assert replay(conditional(match), past.Stats(), taken) == CannotTell((fact,))


def test_also_when_an_expression_takes_the_missing_fact_for_an_error():
    taken = past.record(past.rules({"targets": ["small"]}))
    asked = conditional({"expr": "headers['x-new'] == '1' || true"})

    assert replay(asked, past.Stats(), taken) == CannotTell(("headers.x-new",))


def test_a_fact_that_the_decision_does_not_need_may_be_unknown():
    taken = past.record(past.rules({"targets": ["small"]}))
    asked = conditional({"all": [{"model": "other"}, {"headers.x-new": "1"}]})

    assert replay(asked, past.Stats(), taken).route == "rest"


def test_a_router_in_the_request_is_not_recorded():
    snapshot = past.rules({"targets": ["small"]})
    taken = past.record(snapshot, given=past.body(router={"type": "random", "targets": ["far"]}))

    assert replay(snapshot, past.Stats(), taken) == CannotTell(("body.router",))


def test_a_script_that_reads_the_body_cannot_be_told_and_one_that_does_not_can():
    taken = past.record(past.rules({"targets": ["small"]}))
    reads, blind = (
        past.rules({"type": "script", "targets": ["small", "far"], "script": text})
        for text in (
            "function route({body}) { return body.model ? 'far' : 'small'; }",
            "function route({headers}) { return headers['x-region'] ? 'small' : 'far'; }",
        )
    )

    assert replay(reads, past.Stats(), taken) == CannotTell(("body",))
    assert replay(blind, past.Stats(), taken).backend == "far"


def test_what_a_request_needs_of_a_backend_is_known():
    picky = {"endpoints": ["http://127.0.0.1:1"], "capabilities": [], "model": "picky"}
    tight = {"endpoints": ["http://127.0.0.1:1"], "limits": {"max_context_size": 100}}
    backends = {"picky": picky, "tight": tight}
    snapshot = past.rules({"targets": ["picky", "tight", "small"]}, backends=backends)
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    tools = [{"type": "function", "function": {"name": "f" * 300}}]

    for fields in ({}, {"messages": image}, {"tools": tools}, {"n": 1}):
        taken = past.record(snapshot, given=past.body(**fields))
        found = replay(snapshot, past.Stats(), taken)
        names = tuple(attempt.backend.name for attempt in found.plan.attempts)
        assert names == taken.decided.backends


def test_the_keys_of_now_say_who_asks():
    key = {"authorization": "Bearer secret"}
    owner = {"2bb80d537b1da3e3": {"tenant": "acme"}}
    before = conditional({"api_key": "x"})
    taken = past.record(before, headers=key | {"x-tenant-id": "other"})
    candidate = conditional({"user.tenant": "acme"}, keys=owner)

    assert replay(candidate, past.Stats(), taken).route == "asked"
    assert replay(conditional({"user.tenant": "acme"}), past.Stats(), taken).route == "rest"
