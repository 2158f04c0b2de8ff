"""Routers as people paste them: comments, and scripts over several lines."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import facts
from sidecar.errors import InvalidJson
from sidecar.facts import relax
from sidecar.model import Attempt, Backend
from sidecar.rewrite import apply, patch
from tests.strategies import bodies

GUIDE = b"""{
    "model": "router/dynamic",
    "messages": [{"role": "user", "content": "What is a // comment?"}],
    "router": {
        "type": "script", // Type: fallback/script/optimized
        "url": "http://not/a/comment",
        "script": "const route = ({ models }) => { \\
            return models \\\r
                .sort()[0]; \\
        };" /* at "last" */
    },
    "stream": false
}"""


def read(body: bytes):
    return facts.read("/v1/chat/completions", {}, body)


def test_the_guides_way_to_write_scripts_and_comments_is_read():
    router = read(GUIDE).value(("router",))

    assert router["type"] == "script"
    assert router["url"] == "http://not/a/comment"
    lines = [line.strip() for line in router["script"].split("  ") if line.strip()]
    assert lines == ["const route = ({ models }) => {", "return models", ".sort()[0];", "};"]


def test_what_goes_on_to_the_model_is_json_again():
    request = read(GUIDE)
    backend = Backend(name="gpt", model="gpt-4o", provider="openai")

    sent = apply(GUIDE, patch(request, Attempt(backend, {})))

    assert json.loads(sent) == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "What is a // comment?"}],
        "stream": False,
    }


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "m", // mine\n "router": {"type": "fallback"}}',
        b'{"router": {"type": "fallback"}, "model": "a \\\n b"}',
        b'{"router": {"type": "fallback"} /* done */}',
        b'{"x": {"type": "fallback" // no router\n}}',
        b'{"router": {"type": "fallback", // never ends\n',
    ],
)
def test_outside_the_router_a_body_is_strict(body):
    with pytest.raises(InvalidJson, match="not valid JSON"):
        read(body)


def test_two_routers_are_still_a_duplicate():
    with pytest.raises(InvalidJson, match="twice"):
        read(b'{"router": {"a": 1 // one\n}, "router": {"b": 2}}')


@given(bodies())
def test_json_is_left_as_it_is(body):
    assert relax(body) == body


@given(st.text(alphabet='"\\/* \n{}a', max_size=60).map(str.encode))
def test_relaxing_keeps_every_offset_and_only_makes_blanks(text):
    relaxed = relax(text)

    assert len(relaxed) == len(text)
    assert all(new in (old, 32) for new, old in zip(relaxed, text, strict=True))


def test_a_relaxed_text_decodes_like_its_json():
    relaxed = relax(b'{"a": "x \\\n y", /* b */ "c": [1, 2] // d\n}')

    assert msgspec.json.decode(relaxed) == {"a": "x    y", "c": [1, 2]}
