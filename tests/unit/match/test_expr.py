"""Expressions hold, fail and are refused as the tables in tests/cases/expr.yaml say."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ConfigError
from sidecar.match import compile_condition, compile_flag
from tests.strategies import JSON

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "expr.yaml").read_text("utf-8"))
EXPECTED = {"holds": (True, []), "fails": (False, []), "warns": (False, ["expr_error"])}
VERDICTS = [
    pytest.param(case, expr, EXPECTED[key], id=f"{case['name']}: {expr} {key}")
    for case in CASES["verdicts"]
    for key in EXPECTED
    for expr in case.get(key, ())
]
FAULTS = [
    pytest.param(expr, case["fault"], id=f"{case['name']} {number}")
    for case in CASES["faults"]
    for number, expr in enumerate(case["exprs"] if "exprs" in case else [case["expr"]])
]


def repeated(expr):
    """Write `{text*3}` out: `texttexttext`."""
    if not isinstance(expr, str):
        return expr
    return re.sub(r"\{([^{}]*)\*(\d+)\}", lambda found: found[1] * int(found[2]), expr)


def ask(expr, context, flags=None):
    """Return whether `expr` holds, and the warnings."""
    context = context._replace(warnings=[])
    compiled = compile_condition({"expr": expr}, "match", flags=flags or {})
    return compiled.matches(context), context.warnings


@pytest.mark.parametrize(("case", "expr", "expected"), VERDICTS)
def test_an_expression_holds_or_fails(context_of, case, expr, expected):
    flags = {
        name: compile_flag(name, f"flags.{name}", **fields).matches
        for name, fields in case.get("flags", {}).items()
    }

    assert ask(expr, context_of(case), flags) == expected


@pytest.mark.parametrize(("expr", "fault"), FAULTS)
def test_a_wrong_expression_is_told_what_and_where(expr, fault):
    with pytest.raises(ConfigError) as raised:
        compile_condition({"any": [{"expr": repeated(expr)}]}, "match")

    path, _, message = str(raised.value.faults[0]).partition(": ")
    assert path == "match.any[0].expr"
    assert fault in message


@pytest.mark.parametrize("case", CASES["headers"], ids=lambda case: case["expr"])
def test_the_headers_that_an_expression_reads_are_known(case):
    assert sorted(compile_condition({"expr": case["expr"]}, "match").headers) == case["headers"]


def test_an_expression_stands_beside_other_keys(context_of):
    condition = {"model": "m", "expr": 'user.tier == "gold"', "not": {"expr": "stream"}}
    matches = compile_condition(condition, "match").matches
    gold = {"x-user-tier": "gold"}

    assert matches(context_of({"headers": gold, "body": {"model": "m"}}))
    assert not matches(context_of({"headers": gold, "body": {"model": "n"}}))
    assert not matches(context_of({"headers": gold, "body": {"model": "m", "stream": True}}))
    assert not matches(context_of({"body": {"model": "m"}}))


def test_faults_of_several_expressions_are_all_told():
    condition = {"all": [{"expr": "model == 1"}, {"expr": "stream == 1 || modle == 2"}]}
    with pytest.raises(ConfigError) as raised:
        compile_condition(condition, "match")

    assert [fault.path for fault in raised.value.faults] == [
        "match.all[0].expr",
        "match.all[1].expr",
    ]


def test_only_what_an_expression_reads_is_computed(context_of):
    context = context_of({"headers": {"x-user-tier": "gold"}})
    request = SimpleNamespace(user=context.request.user, headers={})  # and nothing else
    matches = compile_condition({"expr": 'user.tier == "gold" && !has(headers.xa)'}, "m").matches

    assert matches(context._replace(request=request))


def test_a_field_of_the_body_is_read_without_the_others(context_of):
    body = {"big": [[1] * 100] * 100, "messages": [{"role": "user", "content": "x"}] * 6000}

    assert ask('body.messages[0].role == "user"', context_of({"body": body})) == (True, [])
    assert ask('has(body.big) && "messages" in body', context_of({"body": body})) == (True, [])


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("expr", "value", "expected"),
    [
        ("size(body.x) > 1", [1] * 5000, (True, [])),
        ("size(body.x) > 1", [1] * 5001, (False, ["expr_error"])),
        ("size(body.x) > 1", [[1] * 100] * 50, (False, ["expr_error"])),
        ("size(body.x) > 1", {str(n): n for n in range(5001)}, (False, ["expr_error"])),
        ("body.x == body.x", nested(32), (True, [])),
        ("body.x == body.x", nested(33), (False, ["expr_error"])),
        ("body.x == body.x", nested(500), (False, ["expr_error"])),
        ("body.x.filter(y, y == 1).size() > 1", [1] * 300, (True, [])),
        ("body.x.filter(y, y == 1).size() > 1", [1] * 301, (False, ["expr_error"])),
        ("body.x.exists(y, y == body.x)", [1], (False, ["expr_error"])),
        ("body.x.all(y, body.x.size() > 0)", [1], (False, ["expr_error"])),
        ("body.x.all(y, [1,2,3].all(z, y > 0))", [1] * 4000, (False, ["expr_error"])),
        ("[1].all(y, body.x[0] == body.x[0] && size(body.x[0]) > 1)", ["a" * 2000], (True, [])),
    ],
)
def test_what_is_too_large_is_an_error(context_of, expr, value, expected):
    assert ask(expr, context_of({"body": {"x": value}})) == expected


def test_a_long_text_is_read_in_full_but_not_for_each_member(context_of):
    context = context_of({"body": {"x": ["b"], "long": "a" * 1_000_000 + "b"}})

    assert ask('body.long.contains("ab")', context) == (True, [])
    assert ask('body.long.matches("(a+)+b$")', context) == (True, [])
    assert ask("body.x.exists(y, body.long.endsWith(y))", context) == (False, ["expr_error"])


TOKENS = """model user.tier body.x prompt.text headers["a"] flags.f 1 2.5 "a" true null [1] y == !=
    < > && || ! + - * / % ? : ( ) , . in has(body.x) .exists(y, .all(z, .map(y, .filter(y, .matches(
    .contains( size( [ ] { } // \\ ' " @result é \ud800"""
WORDS = st.lists(st.sampled_from(TOKENS.split()), max_size=12).map(" ".join)


@given(st.one_of(st.text(max_size=40), WORDS), JSON)
def test_any_text_is_an_expression_or_a_fault(context_of, text, value):
    try:
        matches = compile_condition({"expr": text}, "match", flags={"f": bool}).matches
    except ConfigError as error:
        paths = {fault.path for fault in error.faults}
    else:
        assert isinstance(matches(context_of({"body": {"x": value}})), bool)
        paths = {"match.expr"}
    assert paths == {"match.expr"}


def test_a_null_as_the_result_costs_the_process_no_reference(context_of):
    context = context_of({"body": {"x": None}})._replace(warnings=[])
    matches = compile_condition({"expr": "body.x"}, "match").matches
    before = sys.getrefcount(None)

    for _ in range(5000):
        matches(context)

    assert sys.getrefcount(None) > before - 1000


READERS = st.sampled_from(
    [
        "body.x == 1",
        "body.x > 1.5",
        "size(body.x) > 0",
        "body.x.exists(y, y == body.y)",
        "body.x.a.b == 1",
        "body.x[0] == 1",
        "has(body.x.a)",
        "body.x",
        "body.x in body.y",
        'body.x.contains("a")',
        "body.x + body.x == body.y",
        "string(body.x) == 'a'",
        "-body.x > 0",
    ]
)


@given(READERS, JSON, JSON)
def test_any_value_of_a_client_gives_true_or_false(context_of, expr, x, y):
    holds, warnings = ask(expr, context_of({"body": {"x": x, "y": y}}))

    assert isinstance(holds, bool)
    assert warnings in ([], ["expr_error"])
    assert not (holds and warnings)


NUMBERS = st.one_of(
    st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False, width=32)
)


@given(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS, NUMBERS)
def test_numbers_compare_as_numbers_of_any_type(context_of, sign, left, right):
    context = context_of({"body": {"x": left, "y": right}})
    expected = {
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
        "==": left == right,
        "!=": left != right,
    }
    assert ask(f"body.x {sign} body.y", context) == (expected[sign], [])
