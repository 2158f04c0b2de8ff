"""Routers whose ranking a script makes: what is refused, and what a failure does."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar import match
from sidecar.choose import build_router, plan
from sidecar.errors import RouterForbidden, ScriptError
from sidecar.model import Compilers, Trail
from tests.unit.choose.scripts import CLOUD, cloud, scripted
from tests.unit.choose.world import Shop, build, context, faults, shown

pytestmark = pytest.mark.usefixtures("patient")

TABLES = Path(__file__).parents[2] / "cases"


def table(name):
    return yaml.safe_load((TABLES / f"script_{name}.yaml").read_text())


@pytest.mark.parametrize("end", [" ", "\n"], ids=["in one line", "in lines"])
@pytest.mark.parametrize("case", table("guide"), ids=lambda case: case["name"])
def test_a_script_of_langdbs_guide_runs_unchanged(case, end):
    router = cloud(case["script"].replace("\\\n", end), on_error="fail")

    assert shown(plan(router, context()))["attempts"] == case["attempts"]


def test_a_script_of_langdbs_guide_that_finds_nothing_is_passed_over():
    router = cloud(table("guide")[1]["script"].replace("\\\n", " "), CLOUD[2:])
    asked = context()._replace(warnings=[])

    assert plan(router, asked) is None
    assert asked.warnings == []


@pytest.mark.parametrize("case", table("faults"), ids=lambda case: case["script"][:40])
def test_a_script_that_does_not_compile_is_refused_when_it_is_stored(case):
    found = faults(scripted(case["script"], "mini"))

    assert found == [f"router.script: does not compile: {case['fault']}"]


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("const route = '\ud800'", "half of a surrogate pair stands alone"),
        ("//" + "é" * 32_767 + "\n", "it has 65537 bytes; at most 65536"),
    ],
)
def test_a_text_that_no_script_can_be_is_refused(script, fault):
    assert faults(scripted(script, "mini")) == [f"router.script: does not compile: {fault}"]


@pytest.mark.parametrize("case", table("errors"), ids=lambda case: case["route"])
def test_a_script_that_fails_chooses_nothing_and_says_why(case):
    trail = Trail()
    asked = context()._replace(trail=trail, warnings=[])

    found = plan(build(scripted(f"const route = {case['route']}", "mini")), asked)

    assert found is None
    assert asked.warnings == ["script_error"]
    assert trail.routers[0].notes["error"].startswith(case["error"])


def test_a_script_that_does_not_compile_is_refused_in_a_request():
    document = {"type": "fallback", "targets": [{"router": scripted("const route = (", "mini")}]}

    with pytest.raises(ScriptError) as caught:
        build(document, strict=False)

    assert caught.value.param == "router.targets[0].router.script"
    assert (caught.value.status, caught.value.code) == (400, "script_error")


def test_where_scripts_are_off_not_even_a_nested_one_is_read():
    document = {"type": "fallback", "targets": ["mini", {"router": scripted("((", "nope")}]}

    with pytest.raises(RouterForbidden, match="POINTSMAN_INLINE_SCRIPTS") as caught:
        build_router(
            document,
            name="inline",
            path="router",
            catalog=Shop(),
            compilers=Compilers(match.compile_accessor, lambda *_: None),
            strict=False,
            scripts=False,
        )

    assert caught.value.param == "router.targets[1].router"


def test_a_stored_script_may_be_named_where_scripts_are_off():
    shop = Shop({"mine": scripted("const route = () => 'deep'", "mini", "deep")})
    router = build_router(
        "router/mine",
        name="inline",
        path="router",
        catalog=shop,
        compilers=Compilers(match.compile_accessor, lambda *_: None),
        strict=False,
        scripts=False,
    )

    assert shown(plan(router, context()))["attempts"] == ["deep", "mini"]


def test_other_fields_are_checked_as_everywhere():
    found = faults({"type": "script", "script": 1, "targets": ["nope"], "colour": 1})

    assert [fault.partition(": ")[0] for fault in found] == [
        "router.colour", "router.script", "router.targets[0]",
    ]  # fmt: skip


def test_after_a_script_that_failed_the_next_target_decides():
    document = {
        "type": "fallback",
        "targets": [{"router": scripted("const route = () => models", "mini")}, "deep"],
    }
    asked = context()._replace(warnings=[])

    assert shown(plan(build(document), asked))["attempts"] == ["deep"]
    assert asked.warnings == ["script_error"]


CHANCE = """const route = ({models}) => [...models]
  .map(m => [Math.random() + Date.now() % 7, m.model]).sort((a, b) => a[0] - b[0]).map(p => p[1])"""


@given(st.integers(0, 2**64 - 1), st.floats(0, 4e9))
def test_the_same_seed_and_time_give_the_same_plan(seed, now):
    router = build(scripted(CHANCE, "mini", "deep", "gemini", "gpt"))

    first, second = (plan(router, context(seed)._replace(now=now)) for _ in range(2))

    assert first == second


def test_chance_reaches_every_order():
    router = build(scripted(CHANCE, "mini", "deep", "gemini"))

    found = {tuple(shown(plan(router, context(seed)))["attempts"]) for seed in range(200)}

    assert len(found) == 6


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["mini", "deep", "openai/*", "router/cheap"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("model"), inner),
)  # fmt: skip


@given(json_values)
def test_whatever_a_script_returns_there_is_a_plan_or_none(value):
    router = build(scripted("const route = ({body}) => body.value", "mini", "deep", "router/cheap"))
    asked = context(body=json.dumps({"value": value}).encode())._replace(warnings=[])

    found = plan(router, asked)

    assert found is None or found.attempts
    assert asked.warnings in ([], ["script_error"])
