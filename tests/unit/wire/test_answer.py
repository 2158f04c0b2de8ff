"""Answers are put together from kept parts; what comes out is one message, and the right one."""

import json

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.model import Assignment, Attempt, Backend, Decision, Plan, Splice, TakeTurn
from sidecar.pb import ext_proc_pb2 as pb
from sidecar.wire.answer import Answers, write_decision

NAMES = st.text("abc-/.:é", min_size=1, max_size=12)
SPLICES = st.lists(
    st.builds(Splice, st.integers(0, 2**31), st.integers(0, 2**31), st.text(max_size=30)),
    max_size=3,
).map(tuple)


UNITS = st.just("") | st.integers(0, 2**64 - 1).map("{:016x}".format)
ASSIGNMENTS = st.builds(
    Assignment,
    NAMES,
    st.integers(1, 9),
    NAMES,
    st.sampled_from([1.0, 0.25]),
    UNITS,
    NAMES,
    st.booleans(),
)
EFFECTS = st.lists(ASSIGNMENTS | st.builds(TakeTurn, NAMES), max_size=12).map(tuple)


@st.composite
def decisions(draw):
    steps = draw(
        st.lists(st.tuples(NAMES, st.sampled_from([1.0, 2.5, 60.0])), min_size=1, max_size=3)
    )
    attempts = tuple(
        Attempt(Backend(name=name, model="m", provider="p", timeout_seconds=seconds), {})
        for name, seconds in steps
    )
    return Decision(
        id=draw(st.integers(0, 16**28 - 1).map("{:028x}".format)),
        route=draw(NAMES),
        plan=Plan(attempts, draw(st.sampled_from([1.0, 0.2, 1 / 3])), draw(NAMES), draw(EFFECTS)),
        splices=tuple(draw(SPLICES) for _ in attempts),
        config_version=draw(st.integers(0, 3)),
        model=None,
        warnings=draw(st.lists(st.sampled_from(["unknown_model", "no_candidate"])).map(tuple)),
        hide_usage=draw(st.booleans()),
    )


SHARED = Answers()


@settings(deadline=None, max_examples=200)
@given(decisions(), st.integers(0, 10_000_000))
def test_an_answer_says_what_was_decided_whatever_was_kept_before(decision, microseconds):
    answer = pb.ProcessingResponse.FromString(SHARED.decided(decision, "chat", microseconds))

    spaces = MessageToDict(answer.dynamic_metadata)
    facts = spaces["pointsman.decision"]
    assert facts["id"] == decision.id
    assert int(facts["us"]) == min(microseconds, 999_999)
    assert (facts["route"], facts["strategy"]) == (decision.route, decision.plan.strategy)
    assert facts.get("warnings", "") == ",".join(decision.warnings)
    assert ("usage" in facts) == decision.hide_usage
    assigned = [one for one in decision.plan.effects if isinstance(one, Assignment)][:8]
    told = json.loads(facts.get("assignments", "[]"))
    assert told == [list(one) if one.missed else list(one[:-1]) for one in assigned]
    assert spaces["pointsman.patch"]["attempts"] == [
        [part for splice in attempt for part in splice] for attempt in decision.splices
    ]
    route = spaces["pointsman.route"]
    longest = max(one.backend.timeout_seconds for one in decision.plan.attempts)
    assert int(route["try_ms"]) == longest * 1000
    assert [group["clusters"][0]["cluster_name"] for group in route["priority_groups"]] == [
        one.backend.name + ("~limited" if one.backend.timeout_seconds < longest else "")
        for one in decision.plan.attempts
    ]
    assert answer.request_body.response.clear_route_cache


def test_a_backend_whose_own_limit_envoy_does_not_have_yet_gets_that_of_the_plan():
    attempts = tuple(
        Attempt(Backend(name=name, model="m", provider="p", timeout_seconds=seconds), {})
        for name, seconds in [("new", 1.0), ("long", 9.0), ("short", 2.0)]
    )
    decision = Decision("0" * 28, "r", Plan(attempts, 1.0, "x"), ((), (), ()), 1, None)

    told = Answers().decided(decision, "chat", 1, frozenset({"new"}))

    route = MessageToDict(pb.ProcessingResponse.FromString(told).dynamic_metadata)[
        "pointsman.route"
    ]
    assert route["try_ms"] == "9000"
    assert [group["clusters"][0]["cluster_name"] for group in route["priority_groups"]] == [
        "new",
        "long",
        "short~limited",
    ]


def test_what_is_kept_is_bounded():
    answers = Answers()
    plan = Plan((Attempt(Backend(name="a", model="m", provider="p"), {}),), 1.0, "fallback")
    for number in range(10_000):
        splices = ((Splice(number, 0, "x"),),)
        answers.decided(Decision("0" * 28, "r", plan, splices, 1, None), "chat", 1)

    assert len(answers._patches) <= 4096


def test_a_unit_is_not_part_of_what_is_kept():
    answers = Answers()
    attempts = (Attempt(Backend(name="a", model="m", provider="p"), {}),)
    for number in range(3):
        effects = (Assignment("e", 1, "a", 0.5, f"{number:016x}"),)
        plan = Plan(attempts, 0.5, "experiment", effects)
        answers.decided(Decision("0" * 28, "r", plan, ((),), 1, None), "chat", 1)

    assert len(answers._facts) == 1


def test_an_envoy_of_ones_own_is_told_the_arms_as_well():
    attempts = (Attempt(Backend(name="a", model="m", provider="p"), {}),)
    effects = (Assignment("e", 2, "b", 1 / 3, "0123456789abcdef"), TakeTurn("t"))
    decision = Decision("0" * 28, "r", Plan(attempts, 1.0, "x", effects), ((),), 1, None)
    fields = Struct().fields

    write_decision(fields, decision, "chat", 1)

    assert fields["assignments"].string_value == '[["e",2,"b",0.333333,"0123456789abcdef",""]]'
