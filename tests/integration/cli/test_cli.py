"""The `pointsman` command on a real Redis."""

import json
import os
import socket
import subprocess
import sys

import pytest

SETTINGS = {"NO_COLOR": "1", "COLUMNS": "200"}
GOOD = {
    "backends": {"a": {"endpoints": ["http://127.0.0.1:1"]}},
    "routes": {"all": {"router": "a"}},
}
WRONG = {"backends": {"a": {"endpoints": ["ftp://x"]}}, "routes": {"all": {"router": "b"}}}


@pytest.fixture
def process(redis_url, tmp_path):
    """Run a command as a process of its own, as users do."""

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "sidecar.cli", *map(str, arguments)],
            env=os.environ | SETTINGS | {"POINTSMAN_REDIS_URL": redis_url} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            check=False,
        )

    return run


def test_what_is_applied_can_be_exported_again(pointsman, file):
    applied = pointsman("apply", file(GOOD), "--who", "ann")

    assert (applied.returncode, applied.stdout) == (0, "✓ live as version 1\n")
    exported = json.loads(pointsman("export").stdout)
    assert {kind: names for kind, names in exported.items() if names} == GOOD


def test_check_prints_every_fault_with_its_path(pointsman, file):
    checked = pointsman("check", file(GOOD, "good.json"), file(WRONG))

    assert checked.returncode == 1
    assert "✓ " in checked.stdout
    assert "backends.a.endpoints[0]" in checked.stdout
    assert "routes.all.router" in checked.stdout


RUNNING = {"arms": [{"name": "one", "router": "a", "share": 10}], "state": "running"}


def test_an_experiment_that_has_begun_gets_another_key_only_by_force(pointsman, file):
    pointsman("apply", file(GOOD | {"experiments": {"e": RUNNING}}))
    other = file(GOOD | {"experiments": {"e": RUNNING | {"key": "session"}}})

    refused = pointsman("apply", other)
    forced = pointsman("apply", other, "--force")

    assert refused.returncode == 1
    assert "✗ experiments.e.key: has begun; raise version to 2" in refused.stderr
    assert (forced.returncode, forced.stdout) == (0, "✓ live as version 2\n")
    assert "experiments.e: gets a new version, and its data restarts" in forced.stderr
    stored = json.loads(pointsman("export").stdout)["experiments"]["e"]
    assert stored == RUNNING | {"key": "session", "version": 2}


PASSES = {"request": {"body": {"model": "x"}}, "expect": {"route": "all", "backend": "a"}}
FAILS = PASSES | {"expect": {"route": "(default)"}}
FAILURE = 'tests.bad: expected route "(default)", got "all". Decided: route all, '


def test_check_runs_the_tests_and_counts_them(pointsman, file):
    checked = pointsman("check", file(GOOD | {"tests": {"good": PASSES, "too": PASSES}}))

    assert checked.returncode == 0
    assert checked.stdout.endswith("rules.json: 1 backend, 0 routers, 1 route, 2 tests passed\n")


def test_check_prints_each_test_that_fails_and_how_to_see_why(pointsman, file):
    checked = pointsman("check", file(GOOD | {"tests": {"good": PASSES, "bad": FAILS}}))

    assert checked.returncode == 1
    assert FAILURE in checked.stdout
    assert "See why: printf %s '" in checked.stdout
    assert "tests.good" not in checked.stdout


def test_check_as_json_has_each_file_with_its_faults_and_tests(pointsman, file):
    files = [
        file(GOOD | {"tests": {"good": PASSES, "bad": FAILS}}, "one.json"),
        file(WRONG, "two.json"),
    ]

    checked = pointsman("check", "--json", *files)

    one, two = json.loads(checked.stdout)
    assert checked.returncode == 1
    assert [one["file"], two["file"]] == [*map(str, files)]
    assert [(test["name"], test["passed"]) for test in one["tests"]] == [
        ("bad", False),
        ("good", True),
    ]
    assert (one["passed"], one["faults"]) == (False, [])
    assert [fault["path"] for fault in two["faults"]] == [
        "backends.a.endpoints[0]",
        "routes.all.router",
    ]


def test_a_policy_of_the_environment_is_tested(pointsman, file):
    test = {"request": {"body": {"model": "x"}}, "expect": {"code": "model_not_found"}}
    path = file({"backends": GOOD["backends"], "tests": {"unknown": test}})

    assert pointsman("check", path).returncode == 1
    assert pointsman("check", path, POINTSMAN_ON_UNKNOWN_MODEL="reject").returncode == 0


def test_rules_that_fail_their_tests_are_not_applied_unless_told_so(pointsman, file):
    path = file(GOOD | {"tests": {"bad": FAILS}})

    refused = pointsman("apply", path)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert FAILURE in refused.stderr
    assert "--skip-tests" in refused.stderr
    assert not any(json.loads(pointsman("export").stdout).values())
    assert pointsman("apply", path, "--skip-tests").stdout == "✓ live as version 1\n"
    assert json.loads(pointsman("export").stdout)["tests"] == {"bad": FAILS}


def test_a_wrong_file_is_not_applied_without_its_tests_either(pointsman, file):
    wrong = GOOD | {"tests": {"bad": {"request": {}, "expect": {}}}}

    assert "tests.bad.expect: says nothing" in pointsman("apply", file(wrong)).stderr
    assert pointsman("apply", "--skip-tests", file(wrong)).returncode == 1


def test_keys_and_guards_are_applied_and_exported(pointsman, file):
    more = {
        "keys": {"ca978112ca1bbdca": {"tenant": "acme"}},
        "guards": {"toxicity": {"url": "http://127.0.0.1:1/check"}},
    }

    pointsman("apply", file(GOOD | more))

    exported = json.loads(pointsman("export").stdout)
    assert {kind: names for kind, names in exported.items() if names} == GOOD | more


def test_a_wrong_file_is_not_applied(pointsman, file):
    applied = pointsman("apply", file(WRONG))

    assert applied.returncode == 1
    assert "backends.a.endpoints[0]" in applied.stderr
    assert not any(json.loads(pointsman("export").stdout).values())


def test_a_file_that_is_not_json_is_a_clear_error(pointsman, tmp_path):
    (tmp_path / "x.json").write_text("{")

    checked = pointsman("check", tmp_path / "x.json")

    assert checked.returncode == 1
    assert "Traceback" not in checked.stderr


def test_history_lists_versions_and_rollback_brings_one_back(pointsman, file):
    pointsman("apply", file(GOOD), "--who", "ann")
    changed = GOOD | {"routes": {"all": {"router": "a", "order": 7}}}
    pointsman("apply", file(changed), "--who", "bob")

    history = json.loads(pointsman("history", "--json").stdout)
    assert [(entry["version"], entry["who"]) for entry in history] == [(2, "bob"), (1, "ann")]
    assert "bob" in pointsman("history").stdout
    assert pointsman("rollback", 1).stdout == "✓ live as version 3\n"
    assert json.loads(pointsman("export").stdout)["routes"] == GOOD["routes"]


def test_a_version_that_is_gone_is_a_clear_error(pointsman):
    rolled = pointsman("rollback", 99)

    assert rolled.returncode == 1
    assert "version 99 is not in the history" in rolled.stderr


def test_only_if_empty_leaves_a_used_store_alone(pointsman, file):
    pointsman("apply", file(GOOD))

    again = pointsman("apply", "--only-if-empty", file(GOOD))

    assert again.returncode == 0
    assert "nothing written" in again.stdout


def test_a_redis_that_is_not_there_ends_with_3_and_the_next_thing_to_try(pointsman):
    failed = pointsman("export", POINTSMAN_REDIS_URL="redis://127.0.0.1:1")

    assert failed.returncode == 3
    assert "POINTSMAN_REDIS_URL" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_taken_admin_port_ends_serve_with_3(process):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        failed = process("serve", POINTSMAN_ADMIN=f"127.0.0.1:{taken.getsockname()[1]}")

    assert failed.returncode == 3
    assert "POINTSMAN_ADMIN" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_wrong_setting_ends_with_2(pointsman):
    failed = pointsman("envoy-config", POINTSMAN_LISTEN="nonsense")

    assert failed.returncode == 2
    assert "POINTSMAN_LISTEN" in failed.stderr


def test_envoy_config_prints_the_bootstrap(pointsman, tmp_path):
    printed = pointsman("envoy-config", POINTSMAN_RUN_DIR=str(tmp_path))

    listener = json.loads(printed.stdout)["static_resources"]["listeners"][0]
    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 10000}
