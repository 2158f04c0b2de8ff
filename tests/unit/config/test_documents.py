"""Documents as texts: reading, writing, digesting and comparing them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.documents import KINDS, Digester, Documents, check_name
from sidecar.errors import ConfigError

names = st.text("abcXYZ019._:@/-", min_size=1, max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), values, max_size=3)
configurations = st.dictionaries(
    st.sampled_from(KINDS), st.dictionaries(names, objects, max_size=3), max_size=3
)


def digest(documents):
    return Digester()(documents)


@given(configurations)
def test_what_is_written_is_read_again(configuration):
    documents = Documents.of(configuration)
    again = Documents.parse(documents.to_json())

    assert json.loads(again.to_json()) == {kind: {} for kind in KINDS} | configuration
    assert digest(again) == digest(documents)


@given(configurations)
def test_the_order_of_keys_changes_no_digest(configuration):
    def turned(value):
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return value

    assert digest(Documents.of(turned(configuration))) == digest(Documents.of(configuration))


@given(configurations, configurations)
def test_digests_are_equal_when_and_only_when_the_content_is(one, two):
    def text(configuration):
        return json.dumps({kind: {} for kind in KINDS} | configuration, sort_keys=True)

    same_digest = digest(Documents.of(one)) == digest(Documents.of(two))
    assert same_digest == (text(one) == text(two))


def test_a_document_that_moves_to_another_kind_changes_the_digest():
    assert digest(Documents(flags={"a": b"{}"})) != digest(Documents(budgets={"a": b"{}"}))


def test_a_digest_from_before_there_were_keys_guards_and_tests_still_fits():
    documents = Documents.parse(b'{"backends": {"a": {"endpoints": ["http://a"]}}, "budgets": {}}')

    assert digest(documents) == "986f2275a73f0e3ee52b78103a9eead4"


def test_broken_text_has_a_digest_but_cannot_be_written():
    broken = Documents(routes={"a": b"{"})

    assert digest(broken) != digest(Documents(routes={"a": b"{}"}))
    with pytest.raises(ConfigError, match=r"routes\.a: not valid JSON"):
        broken.to_json()


def test_a_digester_that_knows_texts_gives_the_same_digests():
    digester = Digester()
    first, second = Documents(flags={"a": b"{}", "b": b"[1]"}), Documents(flags={"b": b"{}"})

    assert [digester(first), digester(second), digester(first)] == [
        *map(digest, (first, second, first))
    ]


def test_differences_are_named_by_kind_and_name():
    before = Documents.of({"backends": {"a": {}, "b": {}}, "flags": {"x": {}}})
    after = Documents.of({"backends": {"b": {"enabled": True}, "c": {}}, "flags": {"x": {}}})

    assert after.changed_since(before) == ["backends.a", "backends.b", "backends.c"]
    assert after.changed_since(after) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "configuration: Input data was truncated"),
        (b"[]", "configuration: Expected `object`, got `array`"),
        (b'{"routes": []}', "routes: Expected `object`, got `array`"),
        (b'{"route": {}}', 'route: unknown kind "route"; did you mean "routes"? legal: '),
    ],
)
def test_a_text_that_is_no_configuration_is_told_so(text, fault):
    with pytest.raises(ConfigError) as raised:
        Documents.parse(text)

    assert str(raised.value).startswith(fault)


@pytest.mark.parametrize("name", ["a", "0", "gpt-4o", "openai/gpt-4o:free@eu_1", "x" * 128])
def test_names_that_are_legal(name):
    assert not [*check_name("routes", name)]


@pytest.mark.parametrize("name", ["", ".", "-a", "a b", "a~", "a\n", "é", "x" * 129, "router/a"])
def test_names_that_are_not(name):
    assert [*check_name("routes", name)]
