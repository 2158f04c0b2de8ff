"""All commands: what each has to have, how quickly they start, and the shell's completion."""

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from typer.main import get_command
from typer.testing import CliRunner

from sidecar.app import whatif as asking
from sidecar.cli import app
from sidecar.cli_whatif import LIMIT, MOST

KINDS = ("backends", "routes", "routers", "flags", "experiments", "budgets", "keys", "guards")
HEAVY = ("fastapi", "grpc", "matplotlib", "scipy", "numpy", "uvicorn", "redis", "re2", "quickjs")


def walk(command, path=()):
    found = getattr(command, "commands", None)
    if found is None:
        yield " ".join(path), command
        return
    for name, one in found.items():
        yield from walk(one, (*path, name))


COMMANDS = dict(walk(get_command(app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "200"})

    assert shown.exit_code == 0
    assert "Example" in shown.stdout
    assert f"pointsman {name}" in " ".join(shown.stdout.split())


def test_every_listing_and_report_takes_json():
    reports = ["check", "apply", "rollback", "history", "explain", "whatif", "experiments report"]
    reports += ["budgets usage"]
    listings = [name for name in COMMANDS if name.split()[-1] in {"list", "show", "stats"}]
    writes = [name for name in COMMANDS if name.split()[-1] in {"put", "rm", "enable", "disable"}]

    without = [
        name
        for name in (*reports, *listings, *writes)
        if not any("--json" in option.opts for option in COMMANDS[name].params)
    ]
    assert len(listings) > len(KINDS)
    assert without == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_commands_that_are_public(kind):
    for command in ("list", "get", "put", "rm", "enable", "disable"):
        assert f"{kind} {command}" in COMMANDS


GUIDE = (Path(__file__).parents[3] / "docs/cli.md").read_text()
SHARED = {"list", "get", "put", "rm", "enable", "disable"}
EXAMPLES = sorted({*re.findall(r"(?<!/)pointsman ([a-z][a-z-]*[^`|#\n]*)", GUIDE)})


def test_the_guide_has_an_example_of_every_command():
    shown = {_named(example.split()) for example in EXAMPLES}
    own = {name for name in COMMANDS if name.split()[0] not in (*KINDS, "tests")}
    own |= {name for name in COMMANDS if name.split()[-1] not in SHARED}

    assert own - shown == set()
    assert {name.split()[-1] for name in shown} > SHARED - {"enable"}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_guide_is_a_command_with_such_options(example):
    words = shlex.split(example.replace("\\", ""))
    known = {name for option in COMMANDS[_named(words)].params for name in option.opts}

    given = {word for word in words if re.match(r"--?[a-z]", word)}
    assert given - known == set()


def _named(words):
    """Return the command that a line begins with."""
    return next(name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS)


def test_whatif_says_its_limits_without_loading_what_has_them():
    assert (LIMIT, MOST) == (asking.LIMIT, asking.MOST)


def test_a_misspelt_command_is_told_the_right_one(pointsman):
    refused = pointsman("flag", "list")

    assert refused.returncode == 2
    assert "flags" in refused.stderr


# ── start ──────────────────────────────────────────────────────────────────

LOADED = """
import sys
from sidecar.cli import app
try:
    app(sys.argv[2:])
finally:
    print(*(name for name in sys.argv[1].split(",") if name in sys.modules), file=sys.stderr)
"""


def loaded(redis_url, *arguments):
    """Return which of the heavy packages a command has loaded."""
    ran = subprocess.run(
        [sys.executable, "-c", LOADED, ",".join(HEAVY), *arguments],
        env={"POINTSMAN_REDIS_URL": redis_url, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(ran.stderr.splitlines()[-1].split())


def test_help_loads_nothing_heavy(redis_url):
    assert loaded(redis_url, "--help") <= {"re2"}


def test_a_listing_loads_no_servers_and_no_statistics(redis_url):
    found = loaded(redis_url, "flags", "list")

    assert "redis" in found
    assert found <= {"redis", "re2", "quickjs"}


# ── completion ─────────────────────────────────────────────────────────────


@pytest.fixture
def completed(redis_url):
    """Return what bash would offer for a line."""

    def complete(line, **environment):
        words = line.split(" ")
        asked = {
            "_POINTSMAN_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
            "POINTSMAN_REDIS_URL": redis_url,
        }
        ran = CliRunner().invoke(app, [], prog_name="pointsman", env=asked | environment)
        assert ran.stderr == ""
        return ran.stdout.split()

    return complete


@pytest.fixture
def named(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        for name in ("beta", "better", "other", "$(boom)", "two words"):
            client.hset("pointsman:flags", name, "{}")
        client.xadd("pointsman:history", {"version": 41, "who": "ann", "what": "x", "when": "now"})


def test_names_of_documents_are_completed(completed, named):
    assert completed("pointsman flags get be") == ["beta", "better"]
    assert completed("pointsman flags put ") == ["beta", "better", "other"]
    assert completed("pointsman routes get ") == []


def test_versions_and_commands_are_completed(completed, named):
    assert completed("pointsman rollback 4") == ["41"]
    assert completed("pointsman history --diff ") == ["41"]
    assert completed("pointsman flags en") == ["enable"]


def test_completion_is_silent_when_the_store_is_away(completed):
    began = time.monotonic()

    for url in ("redis://127.0.0.1:1", "nonsense", "redis://192.0.2.1:6379"):
        assert completed("pointsman flags get b", POINTSMAN_REDIS_URL=url) == []

    assert time.monotonic() - began < 10


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell):
    asked = {"_POINTSMAN_COMPLETE": f"source_{shell}"}
    shown = CliRunner().invoke(app, [], prog_name="pointsman", env=asked)

    assert "_POINTSMAN_COMPLETE" in shown.stdout
