"""`pointsman`, run inside the test's process: a process of its own takes half a second."""

import json
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from sidecar.cli import app

SETTINGS = {"NO_COLOR": "1", "COLUMNS": "200"}


class Ran(NamedTuple):
    """How a command ended, as `subprocess.run` says it."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def json(self):
        assert self.returncode == 0, self.stderr
        return json.loads(self.stdout)


@pytest.fixture
def pointsman(redis_url, tmp_path, monkeypatch):
    """Run a command in an empty folder, against an empty Redis; keywords are environment."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, text="", **environment):
        ran = CliRunner().invoke(
            app,
            [*map(str, arguments)],
            input=text,
            env=SETTINGS | {"POINTSMAN_REDIS_URL": redis_url} | environment,
        )
        if ran.exception is not None and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        return Ran(ran.exit_code, ran.stdout, ran.stderr)

    return run


@pytest.fixture
def file(tmp_path):
    """Write documents into a file as JSON; return its path."""

    def write(documents, name="rules.json"):
        path = tmp_path / name
        path.write_text(documents if isinstance(documents, str) else json.dumps(documents))
        return path

    return write
