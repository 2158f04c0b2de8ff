"""Prompt features, by the table in `tests/cases/prompt.yaml`."""

from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

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
    found = {name: getattr(features, name) for name in case["expect"]}
    assert msgspec.json.decode(msgspec.json.encode(found)) == case["expect"]


def test_every_operation_has_its_cases():
    assert {case["operation"] for case in CASES} == set(OPERATIONS.values())


def test_a_feature_is_computed_once():
    features = prompt("chat", {"messages": [{"role": "user", "content": "Hello there"}]})
    assert features.text is features.text
    assert features.content is features.content
    assert features.keywords is features.keywords


def test_keywords_are_those_of_the_end_of_a_long_prompt():
    text = "first second " + "word " * 4000 + "l" * 30
    features = prompt("completions", {"prompt": text})

    assert features.keywords == ("word", "l" * 30)


def test_a_word_that_the_limit_cuts_is_no_keyword():
    features = prompt("completions", {"prompt": "unselect " + "x" * 19_993})

    assert features.keywords == ("x" * 19_993,)


@given(st.text(alphabet="aé世\u0301٣ _-+#.\n", max_size=200))
def test_a_keyword_begins_with_a_letter_or_digit_and_has_no_blanks(text):
    for word in prompt("completions", {"prompt": text}).keywords:
        assert word[0].isalnum()
        assert not set(word) & set(" .\n")
        assert word == word.lower()
        assert word[-1] not in "_-"


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
