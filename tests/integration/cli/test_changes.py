"""`pointsman apply | rollback | history | export`: what would change, what did, the way back."""

import getpass
import json

import pytest

GOOD = {
    "backends": {name: {"endpoints": ["http://127.0.0.1:1"]} for name in ("a", "b")},
    "routes": {"all": {"router": "a"}},
}
OTHER = GOOD | {"routes": {"all": {"router": "b"}, "new": {"router": "a"}}}
TRIAL = {"arms": [{"name": "one", "router": "a", "share": 10}], "state": "running"}
OTHER_TRIAL = {"arms": [{"name": "one", "router": "b", "share": 10}], "state": "running"}


@pytest.fixture
def applied(pointsman, file):
    """The commands, with rules that are live as version 1."""
    assert pointsman("apply", file(GOOD)).returncode == 0
    return pointsman


def versions(command):
    return [entry["version"] for entry in command("history", "--json").json]


# ── apply ──────────────────────────────────────────────────────────────────


def test_what_apply_would_change_can_only_be_shown(applied, file):
    shown = applied("apply", file(OTHER), "--diff")

    assert shown.returncode == 1
    lines = shown.stdout.splitlines()
    for line in ("~ routes.all", '    -  "router": "a"', '    +  "router": "b"', "+ routes.new"):
        assert line in lines
    assert lines[-1] == "1 to add, 1 to change, 0 to remove"
    assert versions(applied) == [1]


def test_a_difference_as_json_has_each_document_before_and_after(applied, file):
    shown = applied("apply", file(GOOD | {"routes": {}}), "--diff", "--json")

    assert shown.returncode == 1
    change = {"kind": "routes", "name": "all", "before": {"router": "a"}, "after": None}
    assert json.loads(shown.stdout) == {"version": 1, "warnings": [], "changes": [change]}


def test_what_says_the_same_in_other_spaces_is_no_difference(applied, file):
    spaced = file(json.dumps(GOOD, indent=4), "spaced.json")

    assert applied("apply", spaced, "--diff").stdout == "= nothing differs from version 1\n"
    assert applied("apply", spaced).stdout == "= nothing differs: version 1 stays\n"
    assert versions(applied) == [1]


def test_an_apply_tells_scripts_what_it_did(applied, file):
    told = applied("apply", file(OTHER), "--json").json

    assert told["version"] == 2
    assert [change["name"] for change in told["changes"]] == ["all", "new"]
    kept = applied("apply", file(GOOD), "--only-if-empty", "--json").json
    assert (kept["version"], kept["changes"]) == (2, [])


def test_yaml_is_exported_and_applied_again(applied, tmp_path):
    applied("export", "-o", "rules.yaml")
    text = (tmp_path / "rules.yaml").read_text()

    assert applied("export", "--format", "yaml").stdout == text
    assert "\n    router: a\n" in text
    (tmp_path / "rules.yaml").write_text(text.replace("router: a", "router: b"))
    assert applied("check", "rules.yaml").returncode == 0
    assert applied("apply", "rules.yaml").stdout == "✓ live as version 2\n"
    assert applied("routes", "get", "all").json == {"router": "b"}


def test_a_file_that_cannot_be_written_is_a_clear_error(applied):
    refused = applied("export", "-o", "no/such/folder.json")

    assert refused.returncode == 1
    assert "no/such/folder.json: No such file or directory" in refused.stderr


# ── history and rollback ───────────────────────────────────────────────────


def test_a_version_says_what_it_changed(applied, file):
    applied("apply", file(OTHER), "--who", "ann")

    shown = applied("history", "--diff", 2)
    as_json = applied("history", "--diff", 2, "--json").json

    assert ", ann: apply rules.json" in shown.stdout.splitlines()[0]
    assert '    +  "router": "b"' in shown.stdout.splitlines()
    assert shown.stdout.splitlines()[-1] == "1 added, 1 changed, 0 removed"
    assert (as_json["who"], [one["name"] for one in as_json["changes"]]) == ("ann", ["all", "new"])
    assert len(applied("history", "--diff", 1, "--json").json["changes"]) == 3


def test_a_version_that_is_gone_says_where_to_look(applied):
    for arguments in (("history", "--diff", 9), ("rollback", 9), ("rollback", 9, "--diff")):
        refused = applied(*arguments)
        assert refused.returncode == 1
        assert "version 9 is not in the history; `pointsman history" in refused.stderr


def test_a_roll_back_can_only_be_shown(applied, file):
    applied("apply", file(OTHER))

    shown = applied("rollback", 1, "--diff")

    assert shown.returncode == 1
    assert "- routes.new" in shown.stdout.splitlines()
    assert applied("rollback", 2, "--diff").returncode == 0
    assert versions(applied) == [2, 1]
    assert applied("rollback", 1, "--json").json["version"] == 3


def test_a_roll_back_is_not_held_up_by_rule_tests_but_names_them(applied, file):
    test = {"request": {"body": {"model": "x"}}, "expect": {"backend": "b"}}
    applied("apply", file(GOOD | {"tests": {"first": test}}), "--skip-tests")
    applied("apply", file(OTHER | {"tests": {"first": test}}))

    rolled = applied("rollback", 2)

    assert rolled.stdout == "✓ live as version 4\n"
    assert "a rule test fails: tests.first" in rolled.stderr


def test_a_roll_back_does_not_mix_the_data_of_an_experiment(applied, file):
    applied("apply", file(GOOD | {"experiments": {"e": TRIAL}}))
    applied("apply", file(GOOD | {"experiments": {"e": OTHER_TRIAL | {"version": 2}}}))

    refused = applied("rollback", 2)
    forced = applied("rollback", 2, "--force")

    assert refused.returncode == 1
    assert "✗ experiments.e.version: is lower than before" in refused.stderr
    assert "--force restarts its data" in refused.stderr
    assert forced.stdout == "✓ live as version 4\n"
    assert "experiments.e: gets a new version" in forced.stderr
    assert applied("experiments", "get", "e").json == TRIAL | {"version": 3}


def test_who_wrote_is_the_user_of_the_shell(applied):
    entry = applied("history", "--json").json[0]
    assert entry["who"] == getpass.getuser()
