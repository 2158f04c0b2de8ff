"""The rule sets of docs/examples do what their own tests say."""

import json
from pathlib import Path

import pytest

from sidecar.config.check import check_file
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.config.rule_tests import run
from sidecar.model import Policy

FOLDER = Path(__file__).parents[3] / "docs" / "examples"
FILES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_passes_its_tests(path):
    report = check_file(path, Policy())

    assert report.tests
    assert not [*report.faults, *report.failed]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_route_of_an_example_is_expected_by_a_test(path):
    documents = json.loads(path.read_text())
    expected = {test["expect"].get("route") for test in documents["tests"].values()}

    # The chapter's default waits behind its canary, which takes all; see below.
    assert documents["routes"].keys() - expected <= {"default"}


def test_without_its_canary_the_chapter_has_the_rules_that_it_began_with():
    documents = json.loads((FOLDER / "chapter.json").read_text())
    documents["routes"]["canary"]["enabled"] = False
    documents["tests"] = {
        name: {"request": {"headers": headers}, "expect": {"route": route, "backend": backend}}
        for name, (headers, route, backend) in {
            "normal": ({"x-user-id": "normal_user_456"}, "default", "Standard_LLM_v1.0"),
            "premium": ({"x-user-id": "premium_user_123"}, "premium-user", "Premium_LLM_v2.1"),
            "urgent": ({"x-priority": "urgent"}, "urgent", "Premium_LLM_v2.1"),
            "generic": ({}, "default", "Standard_LLM_v1.0"),
        }.items()
    }
    rules = Documents.of(documents)

    assert [one.problem for one in run(compile_snapshot(rules, version=1), rules)] == [""] * 4
