"""Whatever the bytes are, `read` finds each member where it is, or refuses with `RequestError`."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar import facts
from sidecar.errors import InvalidJson, RequestError
from sidecar.model import MISSING
from tests.strategies import PATHS, bodies

LAZY = ("user", "session", "api_key", "region", "max_tokens", "max_cost_per_token", "feature_flags")
FEATURES = (
    *("text", "last", "system", "chars", "tokens", "messages"),
    *("has_code", "has_images", "has_tools", "language"),
)
PLAIN = st.binary(max_size=60)


def parsed(body: bytes) -> dict:
    """What JSON reads; only that numbers beyond a double are the largest double here."""
    largest = 1.7976931348623157e308
    return json.loads(body, parse_float=lambda text: min(max(float(text), -largest), largest))


def read_all(path: str, body: bytes) -> dict | None:
    """Touch every fact; return the body's value, or None when it is refused."""
    try:
        request = facts.read(path, {"x-max-cost-per-token": "nan"}, body)
        for name in LAZY:
            getattr(request, name)
        for name in FEATURES:
            getattr(request.prompt, name)
        return request.value(())
    except RequestError:
        return None


@settings(max_examples=120)
@given(PATHS, bodies())
def test_every_span_holds_the_value_that_json_has_for_the_key(path, body):
    request = facts.read(path, {}, body)
    expected = json.loads(body)
    assert list(request.spans) == list(expected)
    for key, span in request.spans.items():
        assert json.loads(body[span.start : span.end]) == expected[key] == request.value((key,))
        assert body[span.start : span.end] == body[span.start : span.end].strip()
        assert json.loads(body[span.key : span.start].rstrip().removesuffix(b":")) == key


@settings(max_examples=100)
@given(PATHS, bodies())
def test_a_valid_body_is_read_and_every_fact_can_be_asked_for(path, body):
    assert read_all(path, body) == json.loads(body)


@settings(max_examples=150)
@given(PATHS, PLAIN | PLAIN.map(lambda noise: b'{"' + noise + b"}"))
def test_noise_is_refused_or_is_what_json_reads(path, noise):
    value = read_all(path, noise)
    assert value is None or value == parsed(noise)


@st.composite
def mutants(draw):
    """A valid body that was cut, flipped in one place, or had a piece of it repeated."""
    body = bytearray(draw(bodies()))
    at, to = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
    how = draw(st.sampled_from(["cut", "flip", "repeat", "overwrite"]))
    if how == "cut":
        del body[at:to]
    elif how == "flip" and at < len(body):
        body[at] ^= 1 << draw(st.integers(0, 7))
    elif how == "overwrite" and at < len(body):
        body[at] = draw(st.sampled_from(b'{}[]",:\\u0 1e-tn\xff'))
    else:
        body[at:at] = body[at:to]
    return bytes(body)


@settings(max_examples=250)
@given(PATHS, mutants())
def test_a_damaged_body_is_refused_or_is_what_json_reads(path, body):
    value = read_all(path, body)
    if value is not None:
        pairs = json.loads(body, object_pairs_hook=list)
        assert len(pairs) == len(value)
        assert value == parsed(body)


@settings(max_examples=100)
@given(bodies(), st.data())
def test_a_top_level_key_that_occurs_twice_is_refused_wherever_it_is(body, data):
    value = {key: v for key, v in json.loads(body).items() if key not in {"model", "stream"}}
    members = [f"{json.dumps(key)}:{json.dumps(item)}" for key, item in value.items()]
    key = data.draw(st.sampled_from(sorted(value)) if value else st.just("a"))
    members = members or ['"a":1']
    escaped = "".join(f"\\u{unit:04x}" for unit in _units(key))
    again = data.draw(st.sampled_from([json.dumps(key), f'"{escaped}"']))
    same = json.dumps(value.get(key, 1))
    member = f"{again}:{data.draw(st.sampled_from([same, '1', '12', '{}', '[1]']))}"
    members.insert(data.draw(st.integers(0, len(members))), member)
    with pytest.raises(InvalidJson, match="twice") as refusal:
        facts.read("/v1/responses", {}, ("{" + ",".join(members) + "}").encode())
    assert refusal.value.param == key


def _units(text: str) -> list[int]:
    raw = text.encode("utf-16-be")
    return [int.from_bytes(raw[at : at + 2]) for at in range(0, len(raw), 2)]


@settings(max_examples=80)
@given(bodies(), st.data())
def test_a_value_is_found_by_its_path_and_nothing_else_is(body, data):
    node = json.loads(body)
    path = []
    for _ in range(data.draw(st.integers(1, 4))):
        names = list(node) if isinstance(node, dict) else []
        names += range(len(node)) if isinstance(node, list) else []
        path.append(data.draw(st.sampled_from([*names, "a", 0, -1, 7])))
        node = node[path[-1]] if path[-1] in names else MISSING
    assert facts.read("/v1/chat/completions", {}, body).value(path) == node
