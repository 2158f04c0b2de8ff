"""Prometheus' and Alertmanager's own tools accept what operators deploy, and the alerts' tests."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[3] / "deploy"
ALERTMANAGER = DEPLOY / "alertmanager" / "alertmanager.yml"


def run(program, *arguments):
    """Return what the program says. Skips when it is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (Debian: prometheus, prometheus-alertmanager)")
    done = subprocess.run(
        [program, *map(str, arguments)],
        cwd=DEPLOY / "prometheus",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_prometheus_accepts_its_configuration_and_finds_the_rules():
    assert "1 rule files found" in run("promtool", "check", "config", "prometheus.yml")


def test_prometheus_accepts_the_rules():
    assert "SUCCESS" in run("promtool", "check", "rules", "rules.yml")


def test_every_alert_fires_when_it_should_and_only_then():
    assert "SUCCESS" in run("promtool", "test", "rules", "rules_test.yml")


def test_alertmanager_accepts_its_configuration():
    assert "3 receivers" in run("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize("severity", ["critical", "warning"])
@pytest.mark.parametrize("receiver", ["slack", "email"])
def test_a_receiver_that_is_named_in_the_two_marked_places_is_told(tmp_path, receiver, severity):
    text = ALERTMANAGER.read_text()
    assert len(re.findall(r"receiver: shown .*←", text)) == 2
    path = tmp_path / "alertmanager.yml"
    path.write_text(text.replace("receiver: shown ", f"receiver: {receiver} "))

    run("amtool", "check-config", path)
    said = run(
        *("amtool", "config", "routes", "test", f"--config.file={path}"),
        *(f"severity={severity}", f"--verify.receivers={receiver}"),
    )

    assert said.startswith(receiver)
