"""What is kept of a request, and what is not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import facts, whatif
from sidecar.model import BASE_HEADERS, SECRET_HEADERS, Guard, Hook
from sidecar.whatif.facts import LONGEST_PROMPT, LONGEST_TEXT
from tests import strategies
from tests.unit.whatif import past

SECRET = "s3cr3t-and-private"


def kept(headers=None, body=b"{}", reads=None, read=(*BASE_HEADERS, *SECRET_HEADERS, "x-team")):
    request = facts.read(past.PATH, headers or {}, body)
    return whatif.take(request, read, reads)


def test_no_text_of_the_body_and_no_credential_is_kept():
    body = {
        "model": "any",
        "messages": [{"role": "user", "content": SECRET}],
        "prompt": SECRET,
        "instructions": SECRET,
        "metadata": {"note": SECRET},
        "extra": {"variables": {"x": SECRET}},
        "router": {"type": "fallback", "targets": [SECRET]},
        "stop": SECRET,
    }
    headers = dict.fromkeys(SECRET_HEADERS, SECRET) | {"authorization": f"Bearer {SECRET}"}

    text = whatif.encode(kept(headers, json.dumps(body).encode()))

    assert SECRET not in text.decode()
    assert len(json.loads(text)["api_key"]) == 16


def test_features_of_the_prompt_are_kept():
    body = past.body(messages=[{"role": "user", "content": "```\nprint(1)\n```"}])

    prompt = kept(body=body).prompt

    assert (prompt.chars, prompt.messages, prompt.has_code) == (16, 1, True)


def test_a_prompt_that_is_too_long_is_not_looked_at():
    found = kept(body=past.body(user="ann", messages="x" * LONGEST_PROMPT))

    assert found.prompt is None
    assert found.user.id == "ann"


def test_long_identifiers_are_unknown_and_not_cut():
    headers = {"x-session-id": "s" * 300, "x-team": "t" * 300, "x-user-id": "u" * 300}

    found = kept(headers)

    assert (found.session, found.user.id, found.headers) == (None, None, {})
    assert {"session", "user.id", "headers.x-team"} <= set(found.unknown)


@pytest.mark.parametrize(
    "body", [past.body(model="m" * (LONGEST_TEXT + 1)), json.dumps({f"k{n}": n for n in range(99)})]
)
def test_odd_requests_are_not_kept(body):
    assert kept(body=body if isinstance(body, bytes) else body.encode()) is None


def test_verdicts_of_guards_are_kept_without_their_texts():
    hook = Hook(Guard("safe", "http://x"), "{}")
    wordy = Hook(Guard("wordy", "http://x"), "{}")
    reads = {
        ("verdict", hook): {"passed": True, "score": 0.5},
        ("verdict", wordy): {"passed": True, "reason": SECRET},
        ("turn", "rr"): 7,
        ("pin", "a:b"): None,
    }

    found = kept(reads=reads).memory

    assert ("verdict", "safe", "{}", {"passed": True, "score": 0.5}) in found
    assert [one[1] for one in found] == ["safe", "rr", "a:b"]


@given(
    strategies.bodies(),
    strategies.PATHS,
    st.dictionaries(st.sampled_from([*BASE_HEADERS, "x-team"]), st.text(max_size=20)),
)
def test_facts_of_any_request_can_be_written_and_read_again(body, path, headers):
    from sidecar.errors import RequestError

    try:
        request = facts.read(path, headers, body)
    except RequestError:
        return
    taken = whatif.take(request, [*headers])

    assert taken is None or whatif.decode(whatif.encode(taken)) == taken


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"path":"/other"}', b"\xff", b'{"path":1}'])
def test_what_is_no_record_is_passed_over(text):
    assert whatif.decode(text) is None
