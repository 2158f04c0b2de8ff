"""Whatever a request or a script brings, what is shown of it is JSON, and small."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.model import LONGEST_TEXT, shown
from tests.strategies import JSON

odd = st.text(st.characters(), max_size=200) | st.integers() | st.floats() | st.binary()
anything = st.recursive(
    JSON | odd,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=40,
)


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


@given(anything)
def test_what_is_shown_is_json_and_short(value):
    text = msgspec.json.encode(shown(value))

    assert all(len(part) <= LONGEST_TEXT for part in texts(msgspec.json.decode(text)))


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 79 + "…"),
        ("\ud800", "?"),
        (2**63, hex(2**63)),
        ((1, None, True), [1, None, True]),
        ({"a": {"b": {"c": {"d": {"e": 1}}}}}, {"a": {"b": {"c": {"d": {}}}}}),
        ([0] * 100, [0] * 20),
    ],
)
def test_a_value_is_shown_as_it_is_as_far_as_it_is_short(value, seen):
    assert shown(value) == seen
