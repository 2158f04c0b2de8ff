"""Conditions that come in requests are small, shallow and cheap, or they are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ConfigError
from sidecar.match import compile_condition
from tests.strategies import JSON


def nested(depth):
    condition = {}
    for _ in range(depth):
        condition = {"not": condition}
    return condition


def asked(op, operand, times):
    return {"all": [{"prompt.text": {op: operand}}] * times}


ACCEPTED = {
    "what stored rules may say": {"any": [{"user.tier": "gold"}, {"not": {"stream": True}}]},
    "many clauses": {"all": [{"model": "a"}] * 99},
    "deep": nested(7),
    "searches": asked("contains", "a", 20),
    "patterns": asked("regex", "(?i)\\bsql\\b", 5),
    "a long list": {"model": {"in": [*map(str, range(999))]}},
    "a repetition": {"model": {"regex": "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"}},
}
REFUSED = {
    "many clauses": ({"all": [{"model": "a"}] * 101}, "all[99].model: more than 200 clauses"),
    "many empty ones": ({"all": [{}] * 100_000}, "all[199]: more than 200 clauses"),
    "many that are none": ({"any": [7] * 100_000}, "any[0]: a condition is an object"),
    "many operators": (
        {f"body.x{n}": {"gt": 1, "lt": 2, "ne": 3} for n in range(100)},
        "body.x66.lt: more than 200 clauses",
    ),
    "deep": (nested(8), "not" + ".not" * 7 + ": nested deeper than 8"),
    "searches": (asked("contains", "a", 21), "all[20].prompt.text.contains: too many searches"),
    "$searches": (asked("$intersects", [], 21), "all[20].prompt.text.$intersects: too many"),
    "patterns": (asked("regex", "a", 6), "all[5].prompt.text.regex: too many searches"),
    "a long pattern": ({"model": {"regex": "a" * 201}}, "model.regex: a pattern longer than 200"),
    "a large pattern": ({"model": {"$regex": ".{300}"}}, "model.$regex: a pattern too large"),
    "a class of many": ({"model": {"regex": "\\pL{5}"}}, "model.regex: a pattern too large"),
    "no pattern": ({"model": {"regex": "("}}, "model.regex: not a regular expression"),
    "a long operand": ({"model": {"in": [1] * 1000}}, "model.in: more than 1000 values"),
    "a large operand": (
        {"body.x": {"eq": {"a": [[1] * 40] * 40}}},
        "body.x.eq: more than 1000 values",
    ),
    "an expression": ({"expr": "true"}, "expr: expressions are for stored rules only"),
    "a long subject": ({"a" * 100_000: 1}, "a" * 100_000 + ': unknown subject "' + "a" * 100 + "…"),
    "only the first fault": ({"all": [{"x": 1}, {"y": 1}]}, 'all[0].x: unknown subject "x"'),
}


@pytest.mark.parametrize("condition", ACCEPTED.values(), ids=ACCEPTED)
def test_a_modest_condition_of_a_request_is_compiled(context_of, condition):
    untrusted = compile_condition(condition, "router.match", untrusted=True)
    stored = compile_condition(condition, "router.match")
    context = context_of({"body": {"model": "a", "prompt": "use sql"}})

    assert untrusted.matches(context) is stored.matches(context)


@pytest.mark.parametrize(("condition", "fault"), REFUSED.values(), ids=REFUSED)
def test_what_goes_too_far_in_a_request_is_refused(condition, fault):
    with pytest.raises(ConfigError) as raised:
        compile_condition(condition, "router", untrusted=True)

    (found,) = raised.value.faults
    assert str(found).startswith(f"router.{fault}")


def test_a_search_of_a_request_looks_at_the_end_of_a_text(context_of):
    text = "select " + "x" * 9_990 + " join"
    body = {"messages": [{"role": "user", "content": text}], "list": [0] * 10_000 + [1]}
    context = context_of({"body": body})

    def holds(subject, op, operand, *, untrusted=True):
        condition = {subject: {op: operand}}
        return compile_condition(condition, "m", untrusted=untrusted).matches(context)

    assert holds("prompt.text", "contains", "join")
    assert holds("prompt.text", "regex", "join$")
    assert not holds("prompt.text", "contains", "select")
    assert not holds("prompt.text", "regex", "select")
    assert not holds("body.list", "contains", 1)
    assert not holds("body.list", "intersects", [1])
    assert holds("prompt.text", "contains", "select", untrusted=False)
    assert holds("body.list", "intersects", [1], untrusted=False)


def test_own_subjects_are_asked_first_and_the_others_remain(context_of):
    def subjects(subject, path):
        if subject == "pre_request.limit.allowed":
            return lambda context: True
        if subject == "model":
            return lambda context: f"own {path}"
        return None

    def holds(condition):
        compiled = compile_condition(condition, "c", subjects=subjects, untrusted=True)
        return compiled.matches(context_of({"headers": {"x-user-tier": "gold"}}))

    assert holds({"pre_request.limit.allowed": {"eq": True}, "user.tier": "gold"})
    assert holds({"model": "own c.model"})
    with pytest.raises(ConfigError, match=r'c\.pre_request\.x\.y: unknown subject "pre_request'):
        holds({"pre_request.x.y": 1})


KEYS = st.sampled_from(["all", "any", "not", "expr", "model", "body.x", "prompt.text", "headers.a"])
OPS = st.sampled_from(["eq", "$in", "gt", "contains", "regex", "$intersects", "exists", "bad"])
DOCUMENTS = st.recursive(
    JSON,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3),
        st.dictionaries(OPS, inner, max_size=2),
    ),
    max_leaves=12,
)


@given(DOCUMENTS, JSON)
def test_any_document_of_a_client_is_a_condition_or_a_fault(context_of, document, value):
    try:
        compiled = compile_condition(document, "router", untrusted=True)
    except ConfigError as error:
        count = len(error.faults)
    else:
        assert isinstance(compiled.matches(context_of({"body": {"x": value}})), bool)
        count = 1
    assert count == 1
