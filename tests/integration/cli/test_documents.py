"""`pointsman backends | routes | flags | …`: single documents, on a real Redis."""

import json

import pytest
import redis

from sidecar.cli_output import Format
from sidecar.cli_put import Put, read
from sidecar.cli_store import with_editor
from sidecar.config.documents import KINDS
from sidecar.errors import StoreConflict

RULES = {
    "backends": {
        "a": {"endpoints": ["http://127.0.0.1:1"], "description": "the first"},
        "b": {"endpoints": ["http://127.0.0.1:1"], "priority": 200},
    },
    "routers": {"both": {"type": "fallback", "targets": ["a", "b"]}},
    "routes": {
        "all": {"router": "both", "order": 50},
        "beta": {"router": "b", "order": 7, "match": {"flags.beta": True}},
    },
    "flags": {"beta": {"enabled": False, "share": 5}},
}


@pytest.fixture
def command(pointsman, file):
    assert pointsman("apply", file(RULES)).returncode == 0
    return pointsman


@pytest.fixture
def store(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


# ── reading ────────────────────────────────────────────────────────────────


def test_routes_are_listed_as_they_are_tried(command):
    listed = command("routes", "list", "--json").json

    assert [one["name"] for one in listed] == ["beta", "all"]
    assert listed[1]["document"] == RULES["routes"]["all"]


def test_a_listing_tells_documents_apart(command):
    shown = command("backends", "list").stdout

    assert "the first" in shown
    assert "http://127.0.0.1:1" in shown
    assert "disabled" in command("flags", "list").stdout
    assert "fallback" in command("routers", "list").stdout


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_listed_also_when_there_is_none(pointsman, kind):
    assert pointsman(kind, "list", "--json").json == []
    shown = pointsman(kind, "list")
    assert (shown.returncode, kind in shown.stderr or kind == "experiments") == (0, True)


def test_a_broken_document_hides_no_other(command, store):
    store.hset("pointsman:flags", mapping={"broken": "{", "odd": '{"share": "\x1b[2J"}'})

    shown = command("flags", "list")

    assert shown.returncode == 0
    assert "not valid JSON" in shown.stdout
    assert "beta" in shown.stdout
    assert "\x1b" not in shown.stdout
    texts = {one["name"]: one["document"] for one in command("flags", "list", "--json").json}
    assert texts["broken"] == "{"


def test_a_document_is_printed_as_it_can_be_put_again(command, tmp_path):
    text = command("routes", "get", "beta").stdout
    (tmp_path / "beta.json").write_text(text)
    yaml = command("routes", "get", "beta", "--format", "yaml").stdout
    (tmp_path / "beta.yaml").write_text(yaml)

    assert json.loads(text) == RULES["routes"]["beta"]
    assert "flags.beta: true" in yaml
    for name in ("beta.json", "beta.yaml"):
        put = command("routes", "put", "copy", name, "--json").json
        assert put["changes"][-1]["after"] == RULES["routes"]["beta"]
        assert command("routes", "rm", "copy").returncode == 0


def test_an_unknown_name_ends_with_1_and_the_nearest_one(command):
    for asked in (("get",), ("rm",), ("disable",), ("put", "--unset", "match")):
        refused = command("routes", asked[0], "bete", *asked[1:])
        assert refused.returncode == 1
        assert 'routes.bete is not there; did you mean "beta"?' in refused.stderr


# ── put ────────────────────────────────────────────────────────────────────


def test_fields_of_a_document_are_set_and_left_out(command):
    put = command(
        *("backends", "put", "a", "--set", "timeout_seconds=30", "--set", "model=gpt-4o"),
        *("--set", "endpoints[0]=http://127.0.0.1:2", "--set", "limits.max_context_size=8000"),
        *("--unset", "description", "--who", "ann"),
    )

    assert put.stdout == "✓ live as version 2\n"
    assert command("backends", "get", "a").json == {
        "endpoints": ["http://127.0.0.1:2"],
        "timeout_seconds": 30,
        "model": "gpt-4o",
        "limits": {"max_context_size": 8000},
    }
    newest = command("history", "--json").json[0]
    assert (newest["who"], newest["what"]) == ("ann", "put backends.a")


def test_a_name_with_dots_is_quoted_in_a_path(command):
    command("routes", "put", "all", "--set", 'match."headers.x-team".eq=research')

    match = command("routes", "get", "all").json["match"]
    assert match == {"headers.x-team": {"eq": "research"}}


def test_fields_are_set_on_what_was_read_and_on_nothing_newer(command, redis_url, monkeypatch):
    monkeypatch.setenv("POINTSMAN_REDIS_URL", redis_url)
    asked = Put("flags", "beta", None, ["share=20"], [], Format.json)
    text, there = read(asked, None)
    command("flags", "put", "beta", "--set", "description=theirs")

    async def write(editor):
        await editor.put("flags", "beta", text, who="ann", **there)

    with pytest.raises(StoreConflict, match=r"flags\.beta is not as it was read"):
        with_editor(write, None)


def test_a_new_document_may_be_made_of_fields_and_says_that_it_is_new(command):
    put = command("flags", "put", "beto", "--set", "share=20")

    assert put.returncode == 0
    assert 'flags.beto is not there; did you mean "beta"?' in put.stderr
    assert command("flags", "get", "beto").json == {"share": 20}


def test_a_document_comes_from_standard_input_and_fields_are_set_on_it(command):
    put = command("flags", "put", "new", "-", "--set", "share=9", text='{"enabled": false}')
    yaml = command("flags", "put", "too", "-", "--format", "yaml", text="enabled: false\nkey: no\n")

    assert put.returncode == 0
    assert command("flags", "get", "new").json == {"enabled": False, "share": 9}
    assert yaml.returncode == 1
    assert "flags.too.key" in yaml.stderr


def test_a_wrong_field_is_refused_with_its_path_and_the_legal_ones(command):
    refused = command("backends", "put", "a", "--set", "timeout=3")

    assert refused.returncode == 1
    assert 'backends.a.timeout: unknown field "timeout"; did you mean' in refused.stderr
    assert len(command("history", "--json").json) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--set", "enabled"),
        ("--set", "=1"),
        ("--set", "a..b=1"),
        ("--set", "endpoints[7]=x"),
        ("--set", "description.x=1"),
        ("--unset", "nothing"),
        ("--format", "toml", "--set", "priority=1"),
    ],
)
def test_what_cannot_be_set_is_wrong_usage(command, arguments):
    refused = command("backends", "put", "a", *arguments)

    assert refused.returncode == 2, refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_file_that_is_not_there_or_no_json_is_a_clear_error(command):
    for arguments in (("put", "x", "-"), ("put", "x", "nowhere.json"), ("put", "x", ".")):
        refused = command("flags", *arguments, text="{")
        assert refused.returncode == 1
        assert "✗ " in refused.stderr


def test_a_put_can_only_be_shown(command):
    shown = command("flags", "put", "beta", "--set", "share=6", "--diff")
    same = command("flags", "put", "beta", "--set", "share=5", "--diff")

    assert (shown.returncode, same.returncode) == (1, 0)
    for line in ("~ flags.beta", '    -  "share": 5', '    +  "share": 6'):
        assert line in shown.stdout.splitlines()
    assert command("flags", "get", "beta").json["share"] == 5


def test_a_put_that_fails_a_rule_test_is_refused_unless_told_so(command, file):
    test = {"request": {"body": {"model": "x"}}, "expect": {"backend": "a"}}
    command("tests", "put", "first", file(test, "test.json"))

    refused = command("routes", "put", "all", "--set", "router=b")

    assert refused.returncode == 1
    assert "tests.first: expected backend" in refused.stderr
    assert "--skip-tests" in refused.stderr
    forced = command("routes", "put", "all", "--set", "router=b", "--skip-tests")
    assert forced.stdout == "✓ live as version 3\n"
    assert "a rule test fails: tests.first" in forced.stderr


def test_what_is_written_beside_a_broken_document_is_not_live_and_says_so(command, store):
    store.hset("pointsman:routes", "broken", "{")

    put = command("flags", "put", "beta", "--set", "share=6")

    assert put.returncode == 1
    assert "not live until" in put.stderr
    assert "routes.broken" in put.stderr
    assert command("flags", "get", "beta").json["share"] == 6


# ── rm, enable, disable ────────────────────────────────────────────────────


def test_what_others_refer_to_is_not_removed_and_they_are_named(command):
    for kind, name, referrer in (
        ("flags", "beta", "routes.beta.match"),
        ("routers", "both", "routes.all.router"),
        ("backends", "b", "routers.both.targets[1]"),
    ):
        refused = command(kind, "rm", name)
        assert refused.returncode == 1, name
        assert f"{kind}.{name} was not removed" in refused.stderr
        assert referrer in refused.stderr


def test_a_document_is_removed(command):
    assert command("routes", "rm", "beta").stdout == "✓ live as version 2\n"
    assert command("flags", "rm", "beta", "--json").json["version"] == 3
    assert command("flags", "list", "--json").json == []


@pytest.mark.parametrize(
    ("kind", "name"), [("backends", "b"), ("routes", "beta"), ("flags", "beta")]
)
def test_what_is_disabled_keeps_its_document(command, kind, name):
    before = command(kind, "get", name).json

    assert command(kind, "disable", name).returncode == 0
    assert command(kind, "get", name).json == before | {"enabled": False}
    assert command(kind, "enable", name).returncode == 0
    assert command(kind, "get", name).json == before | {"enabled": True}


def test_kinds_without_a_switch_say_which_have_one(command):
    refused = command("routers", "disable", "both")

    assert refused.returncode == 1
    assert "has no switch; those have: backends, routes, flags" in refused.stderr


def test_nothing_is_written_when_nothing_differs(command):
    command("flags", "disable", "beta")

    switched = command("flags", "disable", "beta")
    put = command("flags", "put", "beta", "-", text='{ "share": 5, "enabled": false }')

    assert switched.stdout == put.stdout == "= nothing differs: version 2 stays\n"
    assert len(command("history", "--json").json) == 2


@pytest.mark.parametrize(
    "arguments", [("flags", "list"), ("flags", "get", "x"), ("keys", "rm", "x")]
)
def test_a_redis_that_is_not_there_ends_with_3(pointsman, arguments):
    failed = pointsman(*arguments, POINTSMAN_REDIS_URL="redis://127.0.0.1:1")

    assert failed.returncode == 3
    assert "POINTSMAN_REDIS_URL" in failed.stderr
