"""Every alert says how bad it is and what to do, and has a test for both of its states."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "prometheus"
GROUPS = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
TESTS = [
    one
    for test in yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
    for one in test["alert_rule_test"]
]
HEADINGS = {
    re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
    for heading in re.findall(
        r"^#+ (.*)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE
    )
}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_severity_a_text_and_a_section_in_the_runbook(name):
    alert = ALERTS[name]
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")

    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["description"]
    assert page == "docs/operations.md"
    assert anchor == name.lower()
    assert anchor in HEADINGS


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_tested_both_when_it_fires_and_when_it_does_not(name):
    states = {bool(one["exp_alerts"]) for one in TESTS if one["alertname"] == name}

    assert states == {True, False}


def test_tests_and_silences_name_alerts_that_exist():
    path = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
    rules = yaml.safe_load(path.read_text())["inhibit_rules"]
    matchers = [
        text for rule in rules for text in rule["source_matchers"] + rule["target_matchers"]
    ]
    named = set(re.findall(r"Pointsman\w+(?:\.\*)?", " ".join(matchers)))

    assert {one["alertname"] for one in TESTS} <= ALERTS.keys()
    for name in named:
        assert any(re.fullmatch(name, alert) for alert in ALERTS), name


def test_the_runbook_has_no_section_about_an_alert_that_is_gone():
    sections = {heading for heading in HEADINGS if heading.startswith("pointsman")}

    assert sections == {name.lower() for name in ALERTS}
