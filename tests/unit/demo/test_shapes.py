"""Every API's answer says the same, whole and streamed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.demo.ask import Ask, Refusal
from sidecar.demo.shapes import SHAPES, Reply, error

TEXT = {
    "chat": lambda chunk: (chunk["choices"] or [{"delta": {}}])[0]["delta"].get("content", ""),
    "completions": lambda chunk: (chunk["choices"] or [{"text": ""}])[0]["text"],
    "responses": lambda chunk: chunk.get("delta", ""),
    "messages": lambda chunk: (chunk.get("delta") or {}).get("text", ""),
}


def reply(operation, tokens, **fields):
    body = msgspec.json.encode({"model": "m", "stream": True} | fields)
    return Reply(Ask.read(operation, body), tokens, number=1, created=2)


def events(shape, said):
    deltas = [shape.delta(said, index) for index in range(len(said.tokens))]
    parts = b"".join([shape.opening(said), *deltas, shape.closing(said)]).split(b"\n\n")
    assert parts.pop() == b""
    return [part.partition(b"data: ")[2] for part in parts]


@given(st.sampled_from(sorted(SHAPES)), st.lists(st.text(min_size=1, max_size=6), min_size=1))
def test_the_deltas_of_a_stream_make_up_the_whole_answer(operation, tokens):
    said = reply(operation, tokens)
    values = [
        msgspec.json.decode(data) for data in events(SHAPES[operation], said) if data[:1] == b"{"
    ]

    assert "".join(TEXT[operation](value) for value in values) == "".join(tokens)


@pytest.mark.parametrize("operation", ["chat", "completions"])
@pytest.mark.parametrize("wanted", [True, False])
def test_usage_is_streamed_only_when_it_was_asked_for(operation, wanted):
    said = reply(operation, ["a", " b"], stream_options={"include_usage": wanted})
    *chunks, done = events(SHAPES[operation], said)

    assert done == b"[DONE]"
    usages = [msgspec.json.decode(chunk).get("usage", "absent") for chunk in chunks]
    assert set(map(str, usages[:-1])) == {"None" if wanted else "absent"}
    assert (usages[-1] == SHAPES[operation].whole(said)["usage"]) is wanted


@pytest.mark.parametrize(
    ("operation", "status", "kind"),
    [
        ("chat", 500, "server_error"),
        ("chat", 429, "rate_limit_error"),
        ("chat", 404, "invalid_request_error"),
        (None, 404, "invalid_request_error"),
        ("messages", 404, "not_found_error"),
        ("messages", 500, "api_error"),
    ],
)
def test_an_error_has_the_type_of_its_api(operation, status, kind):
    made = error(operation, Refusal(status, "no"))

    assert (made["error"]["type"], made["error"]["message"]) == (kind, "no")
    assert ("code" in made["error"]) is (operation != "messages")
