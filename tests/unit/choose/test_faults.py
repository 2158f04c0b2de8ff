"""What is refused, with the whole message; and what is forgiven in a request."""

from pathlib import Path

import pytest
import yaml

from sidecar import match
from sidecar.choose import STRATEGIES, plan
from sidecar.choose.fallback import Fallback
from sidecar.choose.percentage import Percentage
from sidecar.choose.routers import MAX_TARGETS
from sidecar.choose.strategies import registry
from sidecar.errors import ConfigError
from sidecar.model import MAX_ATTEMPTS
from tests.unit.choose.world import Shop, build, context, faults, shown

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases/choose_faults.yaml").read_text())


def subject_fault():
    """What the room of the subjects says about `user`."""
    with pytest.raises(ConfigError) as caught:
        match.compile_accessor("user", "router.key")
    return str(caught.value.faults[0])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_wrong_router_is_refused_with_every_fault(case):
    types = ", ".join(sorted(STRATEGIES))
    lines = [line.replace("TYPES", types) for line in case["faults"]]
    expected = [subject_fault() if line == "SUBJECT" else line for line in lines]

    assert faults(case["router"], strict=case.get("strict", True)) == expected


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ("nope", "router"),
        ("router/nope", "router"),
        ({"type": "latency", "targets": ["mini", "nope"]}, "router.targets[1]"),
        ({"type": "fallback", "targets": [{"model": "nope"}]}, "router.targets[0].model"),
        ({"type": "fallback", "targets": [{"router": "nope"}]}, "router.targets[0].router"),
        ({"type": "percentage", "model_a": ["nope", 1]}, "router.model_a[0]"),
    ],
)
def test_an_unknown_target_in_a_request_is_refused_like_a_stored_one(document, path):
    (fault,) = faults(document, strict=False)

    assert fault.startswith(f"{path}: unknown ")
    assert '"nope"' in fault or '"router/nope"' in fault
    assert "known: custom, deep" in fault


def test_unknown_fields_and_control_fields_in_a_request_are_ignored():
    target = {"model": "mini", "max_retries": 2, "seed": 1}
    router = build({"type": "fallback", "targets": [target], "colour": "red"}, strict=False)

    assert shown(plan(router, context()))["attempts"] == [{"mini": {"seed": 1}}]


def nested(levels, innermost="mini"):
    document = innermost
    for _ in range(levels):
        document = {"type": "fallback", "targets": [{"router": document}]}
    return document


def test_ten_levels_of_routers_are_allowed():
    innermost = {"type": "random", "targets": ["mini"]}

    router = build(nested(MAX_ATTEMPTS - 1, innermost))

    assert shown(plan(router, context())) == {
        "attempts": ["mini"],
        "probability": 1.0,
        "strategy": "fallback/" * 9 + "random",
    }


def test_an_eleventh_level_is_refused_where_it_begins():
    innermost = {"type": "random", "targets": ["mini"]}

    found = faults(nested(MAX_ATTEMPTS, innermost))

    assert found == ["router" + ".targets[0].router" * 10 + ": nested deeper than 10"]


def test_the_levels_of_a_stored_router_count():
    shop = Shop({"deep-one": nested(8, {"type": "random", "targets": ["mini"]})})
    one, two = nested(1, "deep-one"), nested(2, "router/deep-one")

    assert faults(one, shop=shop) == []
    assert faults(two, shop=shop) == [
        "router.targets[0].router.targets[0].router: nested deeper than 10"
    ]


def test_a_router_that_contains_itself_is_refused_once_with_the_catalogs_words():
    ring = {
        "a": {"type": "fallback", "targets": ["router/b", "router/b"]},
        "b": {"type": "fallback", "targets": ["mini", "router/a"]},
    }

    assert faults("a", shop=Shop(ring)) == ["routers.a: contains itself"]


def test_a_router_has_a_thousand_targets_at_most():
    most = {"type": "fallback", "targets": ["mini"] * MAX_TARGETS}
    more = {"type": "fallback", "targets": ["mini"] * (MAX_TARGETS + 1)}

    assert faults(most) == []
    assert faults(more) == ["router: more than 1000 targets in all"]


def test_targets_of_inner_and_stored_routers_count():
    half = {"type": "fallback", "targets": ["mini"] * (MAX_TARGETS // 2)}
    document = {"type": "fallback", "targets": [{"router": half}, "router/half"]}

    found = faults(document, shop=Shop({"half": half}))

    assert found == ["router.targets[1]: more than 1000 targets in all"]


@pytest.mark.parametrize("text", ["\ud800", 'a"\n', "x" * 1000])
def test_text_that_is_hard_to_print_is_quoted(text):
    (found,) = faults({"type": text, "targets": ["mini"]})

    assert found.isascii()
    assert found.isprintable()
    assert len(found) < 400


def test_two_definitions_of_one_type_are_refused():
    with pytest.raises(ValueError, match="'fallback' is claimed by Fallback and Fallback"):
        registry(Fallback, Percentage, Fallback)
