"""Plans of routers that stay with somebody, take turns or go by region, from their case tables."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.choose import plan
from sidecar.errors import ConfigError
from sidecar.model import FORGETFUL, Backend, Endpoint, Leaf, Recall, SetPin, TakeTurn, Trail
from tests.unit.choose.world import Shop, build, context, faults, shown

TABLES = Path(__file__).parents[2] / "cases"
REGIONS = ("us-east-1", "eu-central-1", "eu-west-1", "eu-west-2", "eu-west-10", "ap-east-1")


class Remembered:
    """What is remembered, whatever the key."""

    def __init__(self, turns=0, pin=None):
        self.turns, self.pinned = turns, pin

    def turn(self, key):
        return self.turns

    def pin(self, key):
        return self.pinned


def regional(name, region=None, **more):
    return Backend(name=name, model=name, provider="cloud", region=region, **more)


ZONES = (Endpoint("http://a", zone="ap-south-1"), Endpoint("http://b", zone="sa-east-1"))
CLOUD = {name: regional(name, name) for name in REGIONS} | {
    "nowhere": regional("nowhere"),
    "prior": regional("prior", "eu-west-9", priority=1),
    "edge": regional("edge", endpoints=ZONES),
}


class Cloud(Shop):
    """A catalog of backends in regions, of one provider."""

    def leaf(self, name, parameters):
        found = [one for key, one in CLOUD.items() if name in {key, "cloud/*"}]
        return Leaf(name, tuple(found), parameters) if found else None


def table(name: str) -> list[Any]:
    cases = yaml.safe_load((TABLES / f"choose_{name}.yaml").read_text())
    shop = Cloud() if name == "nearest" else None
    return [pytest.param(case, shop, id=f"{name}: {case['name']}") for case in cases]


def noted(effects):
    """Effects as the case tables write them."""
    return [
        "turn" if isinstance(effect, TakeTurn) else {effect.target: effect.seconds}
        for effect in effects
    ]


def ask(case):
    memory = Remembered(case.get("turns", 0), case.get("pin"))
    return context(
        case.get("uniforms", ()),
        stats=case.get("stats"),
        unready=case.get("unready", ()),
        headers=case.get("headers"),
        body=case.get("body", "{}").encode(),
    )._replace(memory=memory)


ALL = [case for name in ("round_robin", "sticky", "session", "nearest") for case in table(name)]


@pytest.mark.parametrize(("case", "shop"), ALL)
def test_a_router_gives_this_plan(case, shop):
    dealt = ask(case)

    found = plan(build(case["router"], shop=shop), dealt)

    assert shown(found) == case["plan"]
    assert noted(found.effects) == case.get("effects", noted(found.effects))
    assert dealt.entropy.left == [], "not all of the uniforms were drawn"


@pytest.mark.parametrize(("case", "shop"), ALL)
def test_a_recorded_decision_can_be_made_again_without_the_memory(case, shop):
    router = build(case["router"], shop=shop)
    first = ask(case)
    recall = Recall(first.memory)
    recorded = plan(router, first._replace(memory=recall))

    again = plan(router, ask(case)._replace(memory=Recall(FORGETFUL, recall.reads)))

    assert again == recorded


@pytest.mark.parametrize(("case", "shop"), ALL)
def test_a_trail_changes_nothing_and_says_why(case, shop):
    router, trail = build(case["router"], shop=shop), Trail()

    found = plan(router, ask(case)._replace(trail=trail))

    assert shown(found) == case["plan"]
    (note,) = trail.routers
    assert note.order or note.notes


def notes(router, shop=None, **case):
    """The trail of a router's ranking."""
    trail = Trail()
    plan(build(router, shop=shop), ask(case)._replace(trail=trail))
    return trail.routers[0]


def test_the_trail_of_a_turn_has_the_turn_and_the_circle():
    found = notes({"type": "round_robin", "targets": ["mini", "deep"], "weights": [2, 1]}, turns=7)

    assert found.notes == {"turn": 7, "circle": ["mini", "deep", "mini"]}


def test_the_trail_of_a_key_has_the_key_and_the_scores():
    router = {"type": "sticky", "targets": ["mini", "deep"], "weights": [1, 0], "salt": "spring"}
    found = notes(router, headers={"x-user-id": "alice"})

    assert found.notes == {"key": "alice"}
    assert [(one.score > 0, one.details) for one in found.candidates] == [
        (True, {"weight": 1.0}),
        (False, {"weight": 0.0}),
    ]


def test_the_trail_of_a_missing_key_says_so():
    found = notes({"type": "sticky", "targets": ["mini"], "missing": "fail"})

    assert (found.notes, found.order) == ({"missing": "fail"}, [])


def test_the_trail_of_a_session_has_its_pin_and_who_is_well():
    router = {"type": "session", "name": "chat", "targets": ["mini", "deep"], "scope": "global"}
    found = notes(
        router,
        headers={"x-session-id": "s1"},
        pin="mini",
        stats={"mini": {"1m": {"requests": 10, "errors": 10}}},
    )

    assert found.notes["pin"] == "mini"
    assert found.notes["key"].startswith("chat:-:")
    assert {one.target: (one.score, one.details["healthy"]) for one in found.candidates} == {
        "mini": (1.0, False),
        "deep": (None, True),
    }


def test_the_trail_of_the_nearest_says_how_far_each_is():
    router = {"type": "nearest", "targets": ["us-east-1", "eu-west-1", "eu-west-2", "nowhere"]}
    router["preference"] = {"eu": ["us"]}
    found = notes(router, Cloud(), headers={"x-region": "eu-west-1"})

    assert found.notes == {"region": "eu-west-1"}
    assert [one.details["why"] for one in found.candidates] == [
        "preference 1",
        "same region",
        "2 parts in common",
        "0 parts in common",
    ]


@pytest.mark.parametrize(
    ("router", "expected"),
    [
        (
            {"type": "round_robin", "targets": ["mini", "deep"], "weights": [1]},
            ["router.weights: 1 weights for 2 targets; the lists must be parallel"],
        ),
        (
            {"type": "sticky", "targets": ["mini", "deep"], "weights": [1, -1]},
            ["router.weights[1]: -1 is not a weight; a weight is a number from 0 on"],
        ),
        (
            {"type": "session", "targets": ["mini", "deep"], "weights": [0, 0]},
            ["router.weights: the weights add up to 0; they need a finite sum above 0"],
        ),
        (
            {"type": "round_robin", "targets": ["mini"], "weights": "1"},
            ["router.weights: Expected `array`, got `str`"],
        ),
        (
            {"type": "sticky", "targets": ["mini"], "key": []},
            ["router.key: Expected `array` of length >= 1"],
        ),
        (
            {"type": "session", "targets": ["mini"], "ttl_seconds": 0.5},
            ["router.ttl_seconds: Expected `float` >= 1.0"],
        ),
        (
            {"type": "session", "targets": ["mini"], "unhealthy_error_rate": 0},
            ["router.unhealthy_error_rate: Expected `float` > 0.0"],
        ),
        (
            {"type": "session", "targets": ["mini"], "scope": "user"},
            ['router.scope: unknown value "user"; known: api_key, tenant, global'],
        ),
        (
            {"type": "nearest", "targets": ["mini"], "preference": {"eu": ["eu-west"]}},
            ['router.preference.eu[0]: no target is in "eu-west"; known: none has a region'],
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_path(router, expected):
    assert faults(router) == expected


@pytest.mark.parametrize(
    ("router", "paths"),
    [
        ({"type": "sticky", "targets": ["mini"], "key": "user"}, ["router.key"]),
        (
            {"type": "sticky", "targets": ["mini"], "key": ["user.id", "a", "b"]},
            ["router.key[1]", "router.key[2]"],
        ),
        ({"type": "session", "targets": ["mini"], "key": "user"}, ["router.key"]),
        ({"type": "nearest", "targets": ["mini"], "key": "user"}, ["router.key"]),
    ],
)
def test_a_subject_that_does_not_exist_is_refused_where_it_stands(router, paths):
    assert [line.split(":")[0] for line in faults(router)] == paths


def test_a_preference_for_where_nobody_is_is_refused_with_where_somebody_is():
    router = {"type": "nearest", "targets": ["eu-west-1", "edge", {"router": "router/inner"}]}
    router["preference"] = {"eu": ["eu-west", "eu-w", ""], "*": ["us", "sa-east-1"]}
    shop = Cloud({"inner": {"type": "fallback", "targets": ["us-east-1"]}})
    known = "known: ap-south-1, eu-west-1, sa-east-1, us-east-1"

    with pytest.raises(ConfigError) as caught:
        build(router, shop=shop)

    assert [str(fault) for fault in caught.value.faults] == [
        f'router.preference.eu[1]: no target is in "eu-w"; {known}',
        f'router.preference.eu[2]: no target is in ""; {known}',
    ]
    assert build(router, shop=shop, strict=False).targets


def key_of(router, strict=True, **headers):
    """The key of what a session router wants to be remembered, or ``None``."""
    found = plan(build(router, strict=strict), context([], headers=headers))
    return next((one.key for one in found.effects if isinstance(one, SetPin)), None)


SESSION = {"type": "session", "name": "chat", "targets": ["mini", "deep"]}
ALICE = {"x-session-id": "s1", "authorization": "Bearer alice", "x-tenant-id": "acme"}


def test_the_key_of_a_pin_shows_neither_the_api_key_nor_what_a_client_wrote():
    session = {**ALICE, "x-session-id": "secret"}
    keys = [key_of({**SESSION, "scope": scope}, **session) for scope in ("api_key", "tenant")]

    assert keys == [
        "chat:2bd806c97f0e00af:8f64bfc250ac98ecf5a0f6a52cde7ec5",
        "chat:bded55e7ce1c08f27738f8c77ec971e3:8f64bfc250ac98ecf5a0f6a52cde7ec5",
    ]


@pytest.mark.parametrize(
    ("scope", "other", "same"),
    [
        ("api_key", {"authorization": "Bearer bob"}, False),
        ("api_key", {"x-tenant-id": "initech"}, True),
        ("tenant", {"authorization": "Bearer bob"}, True),
        ("tenant", {"x-tenant-id": "initech"}, False),
        ("global", {"authorization": "Bearer bob", "x-tenant-id": "initech"}, True),
        ("global", {"x-session-id": "s2"}, False),
    ],
)
def test_a_session_belongs_to_its_scope(scope, other, same):
    router = {**SESSION, "scope": scope}

    assert (key_of(router, **ALICE) == key_of(router, **(ALICE | other))) is same


def test_callers_without_a_key_share_their_sessions():
    assert key_of(SESSION, **{"x-session-id": "s1"}).startswith("chat:-:")


def test_a_router_in_a_request_has_pins_of_its_own_and_none_without_an_api_key():
    stored, inline = key_of(SESSION, **ALICE), key_of(SESSION, strict=False, **ALICE)

    assert stored.split(":")[1:] == inline.split(":")[1:]
    assert inline.startswith("~")
    assert key_of(SESSION, strict=False, **{"x-session-id": "s1"}) is None


@pytest.mark.parametrize("name", ["a b", "ключ", "x" * 129, 'a"', "\n", "~x"])
def test_a_name_that_would_spoil_a_key_is_not_in_it(name):
    key = key_of({**SESSION, "name": name}, **ALICE)

    assert name not in key
    assert len(key) < 90
    assert key != key_of({**SESSION, "name": f"{name}."}, **ALICE)
