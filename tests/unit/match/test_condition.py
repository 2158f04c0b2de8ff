"""Conditions hold or fail as the tables in tests/cases/conditions.yaml say."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ConfigError
from sidecar.match import compile_condition, compile_flag

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "conditions.yaml").read_text())

VERDICTS = [
    pytest.param(case, condition, expected, id=f"{case['name']}: {condition} {expected}")
    for case in CASES["verdicts"]
    for expected in (True, False)
    for condition in case.get("holds" if expected else "fails", ())
]


@pytest.mark.parametrize(("case", "condition", "expected"), VERDICTS)
def test_a_condition_holds_or_fails(context_of, case, condition, expected):
    flags = {
        name: compile_flag(name, f"flags.{name}", **fields).matches
        for name, fields in case.get("flags", {}).items()
    }
    compiled = compile_condition(condition, "match", flags=flags)

    assert compiled.matches(context_of(case)) is expected


@pytest.mark.parametrize("case", CASES["faults"], ids=lambda case: case["name"])
def test_every_fault_is_told_with_its_path(case):
    flags = dict.fromkeys(case.get("flags", ()), bool)
    with pytest.raises(ConfigError) as raised:
        compile_condition(case["condition"], "match", flags=flags)

    assert [str(fault) for fault in raised.value.faults] == case["faults"]


@pytest.mark.parametrize("case", CASES["models"], ids=lambda case: str(case["condition"]))
def test_the_models_that_a_condition_pins_are_known(case):
    models = compile_condition(case["condition"], "match").models

    assert (models if models is None else sorted(models)) == case["models"]


@pytest.mark.parametrize("case", CASES["headers"], ids=lambda case: str(case["condition"]))
def test_the_headers_that_a_condition_reads_are_known(case):
    assert sorted(compile_condition(case["condition"], "match").headers) == case["headers"]


def test_a_condition_nested_too_deeply_is_refused_at_its_depth():
    bomb = {}
    for _ in range(5000):
        bomb = {"not": bomb}
    with pytest.raises(ConfigError) as raised:
        compile_condition(bomb, "match")

    assert str(raised.value) == f"match{'.not' * 32}: nested deeper than 32"


def test_an_operand_nested_too_deeply_is_refused():
    bomb = []
    for _ in range(32):
        bomb = [bomb]
    with pytest.raises(ConfigError, match=r"match\.body\.x\.eq: needs a JSON value"):
        compile_condition({"body.x": {"eq": bomb}}, "match")


def test_a_regular_expression_takes_linear_time(context_of):
    context = context_of({"body": {"x": "a" * 100_000 + "b"}})
    nested = {"body.x": {"regex": "(a+)+$"}}
    overlapping = {"body.x": {"regex": "(a|aa|a*)*c"}}
    states = {"body.x": {"regex": "a.{200}[^ab]"}}

    for condition in (nested, overlapping, states):
        assert compile_condition(condition, "match").matches(context) is False


def test_a_refused_pattern_is_not_written_to_stderr(capfd):
    with pytest.raises(ConfigError):
        compile_condition({"model": {"regex": "("}}, "match")

    assert capfd.readouterr().err == ""


VALUES = st.sampled_from([None, True, False, 0, 1, 1.0, "", "1", "a", "ab", [], [1, "a"], {"k": 1}])
ORDERED = st.sampled_from([0, 1, 1.5, "", "1", "a", "ab"])
TEXTS = st.sampled_from(["", "1", "a", "b"])
SUBJECTS = st.sampled_from(["model", "body.x", "body.x[0]", "headers.x-a", "user.tier", "stream"])
ASKS = st.one_of(
    st.dictionaries(st.sampled_from(["eq", "ne", "contains"]), VALUES, min_size=1),
    st.dictionaries(st.sampled_from(["in", "nin"]), st.lists(VALUES), min_size=1),
    st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), ORDERED, min_size=1),
    st.dictionaries(st.sampled_from(["prefix", "suffix", "regex"]), TEXTS, min_size=1),
    st.dictionaries(st.just("exists"), st.booleans(), min_size=1),
)
CONDITIONS = st.recursive(
    st.dictionaries(SUBJECTS, ASKS, max_size=2),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=6,
)
REQUESTS = st.fixed_dictionaries(
    {
        "headers": st.dictionaries(st.sampled_from(["x-a", "x-user-tier"]), TEXTS),
        "body": st.fixed_dictionaries(
            {}, optional={"model": TEXTS, "x": VALUES, "stream": st.booleans()}
        ),
    }
)


def holds(condition, context):
    return compile_condition(condition, "match").matches(context)


@given(st.lists(CONDITIONS, min_size=1, max_size=3), REQUESTS)
def test_de_morgan_holds(context_of, conditions, request_):
    context = context_of(request_)
    negated = [{"not": condition} for condition in conditions]

    assert holds({"not": {"all": conditions}}, context) is holds({"any": negated}, context)
    assert holds({"not": {"any": conditions}}, context) is holds({"all": negated}, context)


@given(SUBJECTS, VALUES, st.lists(VALUES, max_size=3), REQUESTS)
def test_ne_and_nin_are_the_negations_of_eq_and_in(context_of, subject, value, values, request_):
    context = context_of(request_)

    for name, opposite, operand in (("eq", "ne", value), ("in", "nin", values)):
        is_so = holds({subject: {name: operand}}, context)
        assert holds({subject: {opposite: operand}}, context) is not is_so


@given(SUBJECTS, st.lists(VALUES, min_size=1, max_size=4), REQUESTS)
def test_in_is_any_of_several_eq(context_of, subject, values, request_):
    context = context_of(request_)
    several = {"any": [{subject: {"eq": value}} for value in values]}

    assert holds({subject: {"in": values}}, context) is holds(several, context)


@given(CONDITIONS, REQUESTS)
def test_a_condition_holds_only_for_models_that_it_pins(context_of, condition, request_):
    context = context_of(request_)
    compiled = compile_condition(condition, "match")

    if compiled.models is not None and compiled.matches(context):
        assert context.request.model in compiled.models
