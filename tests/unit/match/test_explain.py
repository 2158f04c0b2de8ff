"""The tree of a condition says what the compiled condition says, and why."""

from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import InvalidJson
from sidecar.match import compile_condition, compile_flag, explain_condition
from tests.strategies import JSON

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "conditions.yaml").read_text())
VERDICTS = [
    pytest.param(case, condition, expected, id=f"{case['name']}: {condition} {expected}")
    for case in CASES["verdicts"]
    for expected in (True, False)
    for condition in case.get("holds" if expected else "fails", ())
]

values = st.sampled_from(["gold", "free", "", "7", 7, 7.0, 0, True, None]) | JSON
texts = st.sampled_from(["gold", "free", "", "7", "g", "o.d"])
scalars = st.sampled_from(["gold", "free", "7", 7, 7.5, True, None])
asks = st.one_of(
    scalars,
    st.dictionaries(st.sampled_from(["eq", "$eq", "ne", "contains"]), values, min_size=1),
    st.dictionaries(st.sampled_from(["in", "nin"]), st.lists(values, max_size=3), min_size=1),
    st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), texts | st.just(7), min_size=1),
    st.dictionaries(st.sampled_from(["prefix", "suffix", "regex"]), texts, min_size=1),
    st.fixed_dictionaries({"exists": st.booleans()}),
)
subjects = st.sampled_from(
    ["user.tier", "model", "headers.x-tag", "body.a", "body.a[0]", "prompt.tokens", "flags.beta"]
)
conditions = st.recursive(
    st.dictionaries(subjects, asks, max_size=3),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}, optional={"user.tier": asks}),
    ),
    max_leaves=8,
)
requests = st.fixed_dictionaries(
    {
        "headers": st.dictionaries(st.sampled_from(["x-user-tier", "x-tag"]), texts),
        "body": st.fixed_dictionaries({}, optional={"a": values, "model": texts}),
    }
)
FLAGS = {"beta": lambda context: context.request.headers.get("x-tag") == "7"}


@given(conditions, requests)
def test_the_tree_holds_exactly_when_the_condition_does(context_of, condition, request_):
    compiled = compile_condition(condition, "match", flags=FLAGS)

    tree = explain_condition(condition, context_of(request_), FLAGS)

    assert tree.holds is compiled.matches(context_of(request_))
    assert msgspec.json.encode(tree)


@pytest.mark.parametrize(("case", "condition", "expected"), VERDICTS)
def test_the_tree_holds_as_the_tables_say(context_of, case, condition, expected):
    flags = {
        name: compile_flag(name, f"flags.{name}", **fields).matches
        for name, fields in case.get("flags", {}).items()
    }

    assert explain_condition(condition, context_of(case), flags).holds is expected


def as_json(condition, context):
    return msgspec.to_builtins(explain_condition(condition, context))


def test_a_clause_shows_what_was_asked_and_what_came(context_of):
    context = context_of({"headers": {"x-user-tier": "free"}})
    clause = {"subject": "user.tier", "op": "eq", "operand": "premium", "value": "free"}

    assert as_json({"user.tier": "premium"}, context) == clause | {"holds": False}
    assert as_json({"not": {"user.tier": {"$eq": "premium"}}}, context) == {
        "holds": True,
        "not": clause | {"holds": False},
    }


def test_a_value_that_is_missing_is_not_there_and_null_is(context_of):
    asked = {"body.a": {"exists": True}}

    assert "value" not in as_json(asked, context_of({"body": {}}))
    assert as_json(asked, context_of({"body": {"a": None}}))["value"] is None


def test_all_clauses_are_asked_also_behind_one_that_fails(context_of):
    condition = {"any": [{"all": [{"model": "x"}, {"stream": False}]}, {}]}

    tree = as_json(condition, context_of({"body": {"model": "m"}}))

    (first, second) = tree["any"]
    assert [clause["holds"] for clause in first["all"]] == [False, True]
    assert second == {"holds": True, "all": []}


def test_a_prompt_is_cut_and_a_credential_is_hidden(context_of):
    context = context_of(
        {
            "headers": {"authorization": "Bearer secret"},
            "body": {"messages": [{"role": "user", "content": "word " * 100}]},
        }
    )

    for subject in ("prompt.text", "body.messages[0].content"):
        assert len(as_json({subject: {"contains": "word"}}, context)["value"]) == 80
    assert len(as_json({"body.messages": {"exists": True}}, context)["value"][0]["content"]) == 80
    hidden = as_json({"headers.Authorization": {"eq": "Bearer secret"}}, context)
    assert hidden["holds"]
    assert "secret" not in str(hidden)


def test_a_value_that_cannot_be_read_is_an_error_of_its_clause(context_of):
    def broken(_context):
        raise InvalidJson("nested too deeply")

    condition = {"any": [{"flags.deep": True}, {"body.a": 1}]}
    tree = explain_condition(condition, context_of({"body": {"a": 1}}), {"deep": broken})

    unread, sound = msgspec.to_builtins(tree)["any"]
    assert (unread["error"], unread["holds"]) == ("invalid_json", False)
    assert sound["holds"]
