"""What a simulated model reads in a request."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.demo.ask import Ask, Refusal
from sidecar.model import OPERATIONS

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
names = st.sampled_from(
    ["model", "messages", "input", "prompt", "system", "stream", "stream_options", "max_tokens",
     "dimensions", "encoding_format", "temperature"]
)  # fmt: skip


def read(operation="chat", **fields):
    return Ask.read(operation, msgspec.json.encode({"model": "m"} | fields))


@given(st.sampled_from(sorted(OPERATIONS.values())), st.dictionaries(names, json_values))
def test_any_json_object_is_read_or_refused(operation, fields):
    body = msgspec.json.encode(fields)
    with contextlib.suppress(Refusal):
        ask = Ask.read(operation, body)

        assert ask.model == fields["model"]
        assert all(isinstance(token, str) for token in ask.answer("demo", 0))


@given(st.binary(max_size=20))
def test_any_bytes_are_read_or_refused(body):
    with pytest.raises(Refusal):
        Ask.read("chat", body)


@given(st.text(max_size=300), st.integers(0, 20), st.none() | st.integers(1, 20))
def test_an_answer_is_as_long_as_told_and_never_over_the_limit(text, length, limit):
    ask = read(messages=[{"role": "user", "content": text}], max_tokens=limit)
    tokens = ask.answer("demo", length)

    assert tokens == ask.answer("demo", length)
    assert len(tokens) <= (limit or len(tokens))
    if length:
        assert len(tokens) == min(length, limit or length)
    elif limit is None:
        assert "".join(tokens) == f"demo here. You said: {text[:200]}"


@pytest.mark.parametrize(
    ("operation", "fields", "last", "prompt"),
    [
        ("chat", {"messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]},
            {"role": "assistant", "content": "b"}]}, "a\n", "be kind\na\n\nb"),
        ("completions", {"prompt": ["one", "two"]}, "two", "one\ntwo"),
        ("responses", {"instructions": "short", "input": "hi"}, "hi", "short\nhi"),
        ("responses", {"input": [{"role": "user", "content": [{"text": "hi"}]}]}, "hi", "hi"),
        ("messages", {"system": "s", "messages": [{"role": "user", "content": "x"}]},
         "x", "s\nx"),
        ("completions", {"prompt": [1, 2]}, "", "\n"),
        ("chat", {"messages": []}, "", ""),
    ],
)  # fmt: skip
def test_the_prompt_and_the_users_last_words_are_found(operation, fields, last, prompt):
    ask = read(operation, **fields)

    assert (ask.last, ask.prompt) == (last, prompt)


@pytest.mark.parametrize(
    ("value", "inputs"),
    [("a", ("a",)), (["a", "b"], ("a", "b")), ([1, 2], ("[1, 2]",)), ([[1], [2]], ("[1]", "[2]"))],
)
def test_texts_and_token_numbers_can_be_embedded(value, inputs):
    assert read("embeddings", input=value).inputs == inputs
