"""`pointsman token …` and the rule that others need tokens, run as processes."""

import json
import os
import stat
import subprocess
import sys

import pytest

from sidecar.admin.tokens import find, read_tokens


@pytest.fixture
def pointsman(tmp_path):
    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "sidecar.cli", *map(str, arguments)],
            env=os.environ | {"NO_COLOR": "1", "COLUMNS": "200"} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            check=False,
        )

    return run


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tokens.json"


def test_a_token_is_printed_once_and_its_hash_is_in_the_file(pointsman, path):
    made = pointsman("token", "new", "--name", "ann", "--role", "operator", "--file", path)

    secret = made.stdout.removesuffix("\n")
    assert made.returncode == 0
    assert find(read_tokens(path), secret).role == "operator"
    assert secret not in path.read_text()
    assert secret not in made.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    again = pointsman("token", "new", "--name", "ann", "--role", "admin", "--file", path)
    assert (again.returncode, again.stdout) == (1, "")
    assert 'name "ann": is taken' in again.stderr


def test_the_file_of_the_setting_is_listed_and_revoked_from(pointsman, path):
    setting = {"POINTSMAN_TOKENS_FILE": str(path)}
    made = pointsman("token", "new", "--name", "ann", "--role", "viewer", "--json", **setting)
    listed = json.loads(pointsman("token", "list", "--json", **setting).stdout)

    assert json.loads(made.stdout)["token"].startswith("pm_")
    assert [(one["name"], one["role"]) for one in listed] == [("ann", "viewer")]
    assert listed[0].keys() == {"name", "role", "created"}
    assert "ann" in pointsman("token", "list", **setting).stdout

    unknown = pointsman("token", "revoke", "anne", **setting)
    assert (unknown.returncode, "did you mean" in unknown.stderr) == (1, True)
    assert pointsman("token", "revoke", "ann", **setting).returncode == 0
    assert read_tokens(path) == ()


def test_without_a_file_the_entry_is_printed_to_be_pasted(pointsman, path):
    made = pointsman("token", "new", "--name", "ann", "--role", "admin")

    entry = made.stderr[made.stderr.index("{") : made.stderr.index("}") + 1]
    path.write_text(f'{{"tokens": [{entry}]}}')
    assert find(read_tokens(path), made.stdout.strip()).name == "ann"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["new", "--name", "a b", "--role", "admin"], 2, "1 to 64 letters"),
        (["new", "--name", "ann", "--role", "root"], 2, "operator"),
        (["list"], 2, "POINTSMAN_TOKENS_FILE"),
        (["list", "--file", "nowhere.json"], 1, "No such file"),
        (["new", "--name", "a", "--role", "admin", "--file", "no/where"], 1, "No such file"),
    ],
)
def test_what_is_wrong_has_its_exit_code(pointsman, arguments, code, told):
    failed = pointsman("token", *arguments)

    assert failed.returncode == code
    assert told in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "pm_" not in failed.stdout
