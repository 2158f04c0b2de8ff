"""What an explanation says of the ways that a request can take."""

import json
from typing import Any

import msgspec
import pytest

from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.explain import Record, encode, explain_record
from sidecar.model import Policy, Stats

RULES: dict[str, Any] = {
    "backends": {
        "small": {"endpoints": ["http://127.0.0.1:1"], "priority": 1},
        "large": {"endpoints": ["http://127.0.0.1:1"], "capabilities": ["tools"]},
        "off": {"endpoints": ["http://127.0.0.1:1"], "enabled": False},
    },
    "routers": {"cheap": {"type": "random", "targets": ["small", "large"]}},
    "flags": {"beta": {"match": {"user.tier": "beta"}}},
    "routes": {
        "sleeping": {"order": 0, "enabled": False, "router": "small"},
        "gpt": {"order": 1, "match": {"model": "gpt"}, "router": "small"},
        "claude": {"order": 1, "match": {"model": {"in": ["c1", "c2"]}}, "router": "small"},
        "dead": {"order": 2, "match": {"user.tier": {"in": ["beta", "gold"]}}, "router": "off"},
        "beta": {"order": 3, "match": {"flags.beta": True}, "router": "cheap"},
        "late": {"order": 90, "enabled": False, "router": "small"},
    },
}


def explained(body: Any = None, headers=None, policy=None, rules=RULES, stats=None):
    snapshot = compile_snapshot(Documents.of(rules), version=4, policy=policy or Policy())
    text = body if isinstance(body, bytes) else json.dumps(body or {"model": "any"}).encode()
    record = Record(
        "/v1/chat/completions",
        headers or {},
        text,
        len(text),
        snapshot,
        stats or Stats(),
        9,
        1.25,
        {},
    )
    return msgspec.json.decode(encode(explain_record(record)))


def asked(found):
    return [(route["name"], route["matched"], route["passed_over"]) for route in found["routes"]]


def test_routes_are_told_in_the_order_of_asking_up_to_the_one_that_decided():
    found = explained(headers={"x-user-tier": "beta"})

    assert asked(found) == [("dead", True, True), ("beta", True, False)]
    assert (found["step"], found["route"]) == ("route", "beta")
    assert found["passed_over"] == ["dead"]
    assert found["routes"][1]["why"] == {
        "subject": "flags.beta",
        "op": "eq",
        "operand": True,
        "value": True,
        "holds": True,
    }
    assert found["skipped"] == [
        {"count": 1, "why": "switched off", "names": ["sleeping"]},
        {"count": 2, "why": 'model is not "any"', "names": ["claude", "gpt"]},
    ]


def test_the_routers_that_had_nothing_stand_before_the_one_that_decided():
    off, cheap = explained(headers={"x-user-tier": "beta"})["routers"]

    assert (off["router"], off["order"]) == ("off", [])
    assert [(one["target"], one["excluded"]) for one in off["candidates"]] == [("off", "disabled")]
    assert (cheap["router"], cheap["type"], len(cheap["order"])) == ("cheap", "random", 2)
    assert 0 <= cheap["draws"][0] < 1


def test_without_a_route_the_default_chain_decides_and_all_routes_are_accounted_for():
    found = explained()

    assert (found["step"], found["route"]) == ("(default)", "(default)")
    assert asked(found) == [("dead", False, False), ("beta", False, False)]
    assert [one["names"] for one in found["skipped"]] == [["sleeping", "late"], ["claude", "gpt"]]
    assert found["warnings"] == ["unknown_model"]


@pytest.mark.parametrize(
    ("body", "step"),
    [
        ({"model": "router/cheap"}, "(router)"),
        ({"router": {"type": "fallback", "targets": ["large"]}}, "(inline)"),
        ({"model": "large"}, "(model)"),
    ],
)
def test_every_step_of_precedence_has_its_name(body, step):
    found = explained(body)

    assert (found["step"], found["route"]) == (step, step)
    assert bool(found["routes"]) is (step == "(model)")


@pytest.mark.parametrize(
    ("body", "policy", "code", "param"),
    [
        (b"[", Policy(), "invalid_json", None),
        ({"router": {"type": "nope"}}, Policy(), "invalid_router", "router.type"),
        ({"router": {}}, Policy(inline_routers=False), "router_forbidden", "router"),
        ({"model": "nope"}, Policy(unknown_model="reject"), "model_not_found", "model"),
    ],
)
def test_a_refusal_is_explained(body, policy, code, param):
    found = explained(body, policy=policy)

    assert (found["refusal"]["code"], found["refusal"]["param"]) == (code, param)
    assert (found["plan"], found["step"], found["route"]) == (None, None, None)
    assert bool(found["routes"]) is (code == "model_not_found")


def test_when_nothing_is_left_every_way_is_told():
    stats = Stats(unready=frozenset({"small", "large"}))

    found = explained(stats=stats)

    assert found["refusal"]["code"] == "no_candidate"
    assert found["passed_over"] == ["(default)"]
    (router,) = found["routers"]
    reasons = {one["target"]: one["excluded"] for one in router["candidates"]}
    assert reasons == dict.fromkeys(["small", "large"], "Envoy does not have it (yet)")


def test_what_the_body_becomes_is_told_for_each_attempt():
    target = {"model": "large", "temperature": 0.5}
    found = explained({"model": "any", "router": {"type": "fallback", "targets": [target]}})

    (attempt,) = found["plan"]["attempts"]
    assert attempt["parameters"] == {"temperature": 0.5}
    assert attempt["changes"][0] == {"at": 10, "removed": 5, "text": '"large"'}
    assert any("temperature" in change["text"] for change in attempt["changes"])


def test_of_many_routes_the_last_ones_are_explained_and_the_others_counted():
    routes = {
        f"r{number:03}": {"order": number, "match": {"user.id": str(number)}, "router": "small"}
        for number in range(250)
    }

    found = explained(rules=RULES | {"routes": routes}, headers={"x-user-id": "240"})

    assert found["route"] == "r240"
    assert [route["name"] for route in found["routes"]][0::99] == ["r141", "r240"]
    assert [(one["count"], one["why"]) for one in found["skipped"]] == [(141, "did not match")]


def test_nothing_secret_and_no_whole_prompt_is_in_it():
    rules = RULES | {
        "routes": {
            "prompt": {
                "match": {
                    "any": [
                        {"prompt.text": {"contains": "nothing"}},
                        {"headers.authorization": {"eq": "Bearer op-secret"}},
                        {"body.messages": {"exists": False}},
                    ]
                },
                "router": "small",
            }
        }
    }
    body = {"model": "any", "messages": [{"role": "user", "content": "private " * 40}]}

    found = json.dumps(explained(body, {"authorization": "Bearer my-secret"}, rules=rules))

    assert "secret" not in found
    assert "private " * 11 not in found
    assert "private " * 5 in found, "enough to recognise it"


def test_time_and_version_are_those_of_the_decision():
    found = explained()

    assert (found["at"], found["config_version"]) == ("1970-01-01T00:00:01.250Z", 4)
