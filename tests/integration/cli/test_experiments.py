"""`pointsman experiments`, on a real Redis."""

import json

import pytest
import redis

from tests.unit.report.learned import arm

TRIAL = {
    "arms": [
        {"name": "control", "router": "a", "share": 80},
        {"name": "canary", "router": "b", "share": 20},
    ],
    "metrics": [{"name": "error_rate"}],
    "description": "a new model",
}
RULES = {
    "backends": {name: {"endpoints": ["http://127.0.0.1:1"]} for name in ("a", "b")},
    "routes": {"all": {"router": "a"}},
}
SUMS = "pointsman:experiment:trial:1"


@pytest.fixture
def run(pointsman, file):
    assert pointsman("apply", file(RULES)).returncode == 0
    return pointsman


@pytest.fixture
def experiments(run):
    """The commands, with one running experiment."""

    def command(*arguments, **more):
        return run("experiments", *arguments, **more)

    put = command("put", "trial", "-", text=json.dumps(TRIAL | {"state": "running"}))
    assert put.stdout == "✓ live as version 2\n", put.stderr
    return command


@pytest.fixture
def store(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def measured(experiments, store):
    """The same, with what the arms have shown."""
    store.hset(SUMS, mapping=arm("control", 4000, errors=40) | arm("canary", 1000, errors=60))
    return experiments


def test_a_document_is_put_listed_got_and_removed(experiments):
    (listed,) = json.loads(experiments("list", "--json").stdout)

    assert listed == {
        "name": "trial",
        "version": 1,
        "state": "running",
        "arms": {"control": 80.0, "canary": 20.0},
        "assigned": 0,
        "description": "a new model",
    }
    assert "control 80 %, canary 20 %" in experiments("list").stdout
    assert json.loads(experiments("get", "trial").stdout) == TRIAL | {"state": "running"}
    assert experiments("rm", "trial").returncode == 0
    assert json.loads(experiments("list", "--json").stdout) == []


def test_switches_are_states_and_entries_of_the_history(experiments, run):
    experiments("disable", "trial", "--who", "ann")

    assert json.loads(experiments("get", "trial").stdout)["state"] == "paused"
    experiments("enable", "trial")
    assert json.loads(experiments("get", "trial").stdout)["state"] == "running"
    history = json.loads(run("history", "--json").stdout)
    assert [(one["who"], one["what"]) for one in history[1:3]] == [
        ("ann", "disable experiments.trial"),
        (history[0]["who"], "put experiments.trial"),
    ]


def test_a_wrong_document_is_not_written(experiments):
    wrong = TRIAL | {"arms": [*TRIAL["arms"], {"name": "c", "router": "a", "share": 7}]}

    refused = experiments("put", "other", "-", text=json.dumps(wrong))

    assert refused.returncode == 1
    assert "experiments.other.arms" in refused.stderr
    assert len(json.loads(experiments("list", "--json").stdout)) == 1


def test_what_is_no_json_or_no_file_is_a_clear_error(experiments):
    for arguments in (("put", "x", "-"), ("put", "x", "nowhere.json")):
        refused = experiments(*arguments, text="{")
        assert refused.returncode == 1
        assert "✗ " in refused.stderr
        assert "Traceback" not in refused.stderr


def test_what_has_begun_keeps_its_arms_unless_its_data_restarts(experiments):
    changed = TRIAL | {"state": "running", "key": "session"}

    refused = experiments("put", "trial", "-", text=json.dumps(changed))
    forced = experiments("put", "trial", "-", "--force", text=json.dumps(changed))

    assert refused.returncode == 1
    assert "experiments.trial.key" in refused.stderr
    assert forced.returncode == 0
    assert json.loads(experiments("get", "trial").stdout)["version"] == 2


def test_what_a_route_uses_is_not_removed(experiments, run, tmp_path):
    exported = json.loads(run("export").stdout)
    router = {"type": "experiment", "experiment": "trial"}
    exported["routes"]["trial"] = {"order": 1, "router": router}
    (tmp_path / "rules.json").write_text(json.dumps(exported))
    run("apply", "rules.json")

    refused = experiments("rm", "trial")

    assert refused.returncode == 1
    assert "routes.trial.router.experiment" in refused.stderr


@pytest.mark.parametrize("command", ["get", "rm", "enable", "disable", "report"])
def test_an_unknown_name_ends_with_1_and_the_nearest_one(experiments, command):
    refused = experiments(command, "trail")

    assert refused.returncode == 1
    assert 'experiments.trail is not there; did you mean "trial"?' in refused.stderr


def test_a_report_as_json_is_what_is_public(measured):
    found = json.loads(measured("report", "trial", "--json").stdout)

    assert (found["experiment"], found["state"]) == ("trial", "running")
    assert found["srm"] == {"p_value": 1.0, "flag": False}
    assert found["arms"]["canary"]["assigned"] == 1000
    rate = found["arms"]["canary"]["metrics"]["error_rate"]
    assert (rate["n"], rate["estimate"]) == (1000, 0.06)
    assert rate["low"] < 0.06 < rate["high"]
    assert found["recommendation"].startswith("Stop canary")


def test_a_report_on_a_terminal_has_the_same(measured):
    shown = measured("report", "trial").stdout

    assert shown.startswith("trial  version 1  running  5,000 requests by user.id")
    assert "✓ sample ratio" in shown
    assert "Stop canary" in shown


def test_a_report_does_not_need_the_other_documents_to_be_right(measured, store):
    store.hset("pointsman:routes", "broken", "{")

    assert measured("report", "trial").returncode == 0


def test_a_report_says_that_an_earlier_version_had_requests(measured):
    again = TRIAL | {"state": "running", "version": 2}
    measured("put", "trial", "-", text=json.dumps(again))

    shown = measured("report", "trial").stdout

    assert "• No request has been assigned yet." in shown
    assert "• Version 1 had 5,000 requests, which do not count: this is version 2." in shown


def test_a_report_is_drawn(measured, tmp_path):
    pytest.importorskip("matplotlib")

    drawn = measured("report", "trial", "--json", "--plot", "trial.svg")

    assert drawn.returncode == 0
    assert json.loads(drawn.stdout)["experiment"] == "trial"
    assert drawn.stderr == "wrote trial.svg\n"
    assert (tmp_path / "trial.svg").read_bytes().startswith(b"<?xml")


def test_a_picture_of_another_kind_or_a_watched_one_is_wrong_usage(measured):
    for arguments in (("--plot", "a.pdf"), ("--watch", "--json")):
        assert measured("report", "trial", *arguments).returncode == 2


def test_a_redis_that_is_not_there_ends_with_3(experiments):
    for command in (("list",), ("get", "trial"), ("report", "trial")):
        failed = experiments(*command, POINTSMAN_REDIS_URL="redis://127.0.0.1:1")
        assert failed.returncode == 3
        assert "Traceback" not in failed.stderr
