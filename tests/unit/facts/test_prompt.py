"""Prompt features, by the table in `tests/cases/prompt.yaml`."""

from pathlib import Path

import msgspec
import pytest
import yaml

from sidecar import facts
from sidecar.errors import InvalidJson
from sidecar.model import OPERATIONS

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "prompt.yaml").read_text("utf-8"))
PATHS = {operation: path for path, operation in OPERATIONS.items()}


def prompt(operation: str, body: object):
    return facts.read(PATHS[operation], {}, msgspec.json.encode(body)).prompt


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_prompt_has_the_features_of_its_table(case):
    features = prompt(case["operation"], case["body"])
    assert {name: getattr(features, name) for name in case["expect"]} == case["expect"]


def test_every_operation_has_its_cases():
    assert {case["operation"] for case in CASES} == set(OPERATIONS.values())


def test_a_feature_is_computed_once():
    features = prompt("chat", {"messages": [{"role": "user", "content": "Hello there"}]})
    assert features.text is features.text
    assert features.content is features.content


def test_the_language_is_that_of_what_was_said_last():
    long_system = "You are the assistant of the house. " * 200
    spoken = "Wie ist das Wetter und die Lage? " * 80
    body = {
        "messages": [
            {"role": "system", "content": long_system},
            {"role": "user", "content": spoken},
        ]
    }
    assert prompt("chat", body).language == "de"


def test_content_nested_deeply_is_walked_without_recursion():
    content = '[{"content":' * 200 + '"deep"' + "}]" * 200
    body = f'{{"messages":[{{"role":"user","content":{content}}}]}}'.encode()
    assert facts.read(PATHS["chat"], {}, body).prompt.last == "deep"


def test_a_prompt_nested_too_deeply_for_the_stack_is_refused():
    body = b'{"prompt":' + b"[" * 900 + b"]" * 900 + b"}"
    features = facts.read(PATHS["completions"], {}, body).prompt

    def deeper(frames: int) -> object:
        return deeper(frames - 1) if frames else features.text

    with pytest.raises(InvalidJson, match="nested too deeply"):
        deeper(300)
