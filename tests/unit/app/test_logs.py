import json
import subprocess
import sys

import pytest

CODE = """
import sys
import structlog
from sidecar.app import logs
from sidecar.settings import Settings

logs.configure(Settings(log_format=sys.argv[1]), "worker 0")

def fail(body, key):
    raise ValueError("no")

try:
    fail("the prompt", "the key")
except ValueError:
    structlog.get_logger().exception("decision_failed", decision="019aa3b1")
"""


def logged(form):
    command = [sys.executable, "-c", CODE, form]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stderr


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_names_places_and_no_variables(form):
    text = logged(form)

    assert "ValueError" in text
    assert "fail" in text
    assert "019aa3b1" in text
    assert "'the prompt'" not in text
    assert "'the key'" not in text


def test_a_line_is_one_json_object():
    (line,) = logged("json").splitlines()

    assert json.loads(line)["process"] == "worker 0"
