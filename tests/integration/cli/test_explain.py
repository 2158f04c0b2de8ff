"""`pointsman explain`; without a sidecar, except in the end-to-end tests."""

import json

import pytest

from tests.ports import free_port

RULES = {
    "backends": {
        "small": {"endpoints": ["http://127.0.0.1:1"]},
        "large": {"endpoints": ["http://127.0.0.1:1"], "provider": "big"},
        "off": {"endpoints": ["http://127.0.0.1:1"], "enabled": False},
    },
    "routers": {
        "mix": {
            "type": "percentage",
            "targets": ["small", "large", "off"],
            "targets_percentages": [1, 3, 1],
        }
    },
    "routes": {
        "gone": {"order": 1, "enabled": False, "router": "small"},
        "gpt": {"order": 2, "match": {"model": "gpt"}, "router": "small"},
        "premium": {
            "order": 3,
            "match": {"all": [{"user.tier": "premium"}, {"not": {"region": "eu"}}]},
            "router": "mix",
        },
        "rest": {"order": 9, "router": "small"},
    },
}
BODY = {"model": "any", "messages": [{"role": "user", "content": "tell " * 40}], "user": "ann"}


@pytest.fixture
def explain(pointsman, file):
    def run(*arguments, body=None, **environment):
        text = body if isinstance(body, bytes) else json.dumps(body or BODY)
        settings = {"POINTSMAN_ADMIN": f"127.0.0.1:{free_port()}", "COLUMNS": "160"}
        return pointsman("explain", *arguments, text=text, **settings | environment)

    file(RULES)
    return run


def as_json(process):
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_a_file_of_rules_is_enough(explain):
    found = as_json(explain("--config", "rules.json", "--json", "--header", "X-User-Tier: premium"))

    assert (found["step"], found["route"]) == ("route", "premium")
    assert {(one["count"], one["why"]) for one in found["skipped"]} == {
        (1, "switched off"),
        (1, 'model is not "any"'),
    }
    (asked,) = found["routes"]
    assert asked["why"]["holds"]
    assert asked["why"]["all"][1]["not"] == {
        "holds": False,
        "subject": "region",
        "op": "eq",
        "operand": "eu",
    }
    (router,) = found["routers"]
    assert (router["type"], len(router["draws"])) == ("percentage", 1)
    assert [one["excluded"] for one in router["candidates"] if one["target"] == "off"] == [
        "disabled"
    ]


def test_seed_and_time_make_it_the_same_again(explain):
    asked = ("--config", "rules.json", "--seed", 5, "--at", "2026-01-05T12:00Z", "--json")

    assert explain(*asked).stdout == explain(*asked).stdout
    assert as_json(explain(*asked))["at"] == "2026-01-05T12:00:00.000Z"


def test_people_get_a_tree(explain):
    told = explain("--config", "rules.json", "--header", "x-user-tier:premium", "--seed", 5)

    text = told.stdout
    assert told.returncode == 0
    for part in (
        "by route premium",
        '✓ user.tier eq "premium"  is "premium"',
        '✗ region eq "eu"  is missing',
        "1 not asked: switched off (gone)",
        "router mix  percentage  probability 0.",
        "disabled",
        "big/large",
    ):
        assert part in text


def test_without_a_sidecar_the_rules_are_those_in_redis(explain, pointsman):
    assert pointsman("apply", "rules.json").returncode == 0

    told = explain("--json")

    assert "rules in Redis" in told.stderr
    assert as_json(told)["config_version"] == 1


def test_a_refusal_is_an_answer(explain):
    told = explain("--config", "rules.json", "--json", body=b'{"model":')

    assert as_json(told)["refusal"]["code"] == "invalid_json"
    assert "invalid_json" in explain("--config", "rules.json", body=b"[]").stdout


def test_the_body_may_be_in_a_file(explain, tmp_path):
    (tmp_path / "body.json").write_text('{"model":"gpt"}')

    found = as_json(explain("--config", "rules.json", "--file", "body.json", "--json"))

    assert found["route"] == "gpt"


def test_a_prompt_is_never_shown_whole(explain):
    found = explain("--config", "rules.json", "--json", body=BODY | {"model": "m" * 500})

    assert "tell " * 20 not in found.stdout
    assert "m" * 100 not in found.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["0" * 28], 3, "POINTSMAN_ADMIN"),
        (["--config", "nowhere.json"], 1, "nowhere.json"),
        (["--config", "rules.json", "--file", "nowhere"], 1, "nowhere"),
        (["--config", "rules.json", "--header", "x"], 2, "name:value"),
        (["--config", "rules.json", "--path", "/v1/files"], 2, "--path"),
        (["--config", "rules.json", "--at", "noon"], 2, "--at"),
        (["--config", "rules.json", "--seed", "x"], 2, "--seed"),
        (["0" * 28, "--config", "rules.json"], 2, "ID"),
    ],
)
def test_what_is_wrong_has_its_exit_code(explain, arguments, code, said):
    told = explain(*arguments)

    assert told.returncode == code, told.stderr
    assert said in told.stderr
    assert "Traceback" not in told.stderr


def test_without_sidecar_and_redis_it_ends_with_3(explain):
    told = explain(POINTSMAN_REDIS_URL="redis://127.0.0.1:1")

    assert told.returncode == 3
    assert "POINTSMAN_REDIS_URL" in told.stderr
