"""YAML: JSON's values and no others, within bounds, and told where it is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config import files
from sidecar.config.documents import Documents
from sidecar.config.yaml_text import MOST_DEPTH, read_yaml, write_yaml
from sidecar.errors import ConfigError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_what_is_written_is_read_as_it_was(value):
    read = read_yaml(write_yaml(value))

    assert (read, type(read)) == (value, type(value))


WORDS = (
    "1e5 1E+2 1.5 -0 no on y TRUE TrUe null Null ~ 12:30 0x10 0o17 010 1_000 2020-01-01 << = .5 +1"
)


@pytest.mark.parametrize("word", [*WORDS.split(), "", "- a", "a: b", "#", "\u2028", "\x85", "\t"])
def test_text_that_looks_like_something_else_stays_text(word):
    assert read_yaml(write_yaml({word: [word]})) == {word: [word]}


def test_nothing_is_guessed():
    text = b"{a: no, b: 2020-01-01, c: 0x10, d: 010, e: .inf, f: 1e5, g: true, h: , i: '1', on: ~}"

    assert read_yaml(text) == {
        "a": "no",
        "b": "2020-01-01",
        "c": "0x10",
        "d": "010",
        "e": ".inf",
        "f": 1e5,
        "g": True,
        "h": None,
        "i": "1",
        "on": None,
    }


def test_anchors_aliases_and_merge_keys_work():
    text = b"x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [{c: 9}, *x], a: 0}\nw: [*x]"

    read = read_yaml(text)

    assert read["y"] == {"a": 1, "b": 3}
    assert read["z"] == {"c": 9, "a": 0, "b": 2}
    assert read["w"] == [{"a": 1, "b": 2}]


def bomb(levels, wide=10):
    lines = [f"a0: &a0 [{','.join('x' * wide)}]"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * wide)}]")
    return "\n".join(lines).encode()


def chain(length):
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, length))]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (b"a: 1\nb:\n  c: 1\n  c: 2", "b.c", "line 4, column 3: is there twice"),
        (b"- {a: 1, a: 1}", "[0].a", "line 1, column 10: is there twice"),
        (b"a: !!python/object/apply:os.system [x]", "a", "has the tag"),
        (b"a: !!int '1'", "a", "has the tag"),
        (b"a: !own {}", "a", "has the tag !own"),
        (b"a: [1\nb: 2", "configuration", "line 2, column 2: not valid YAML"),
        (b"a: \x00", "configuration", "not valid YAML"),
        (b"\xff", "configuration", "not valid YAML"),
        (b"a: *b", "a", "*b is not known here"),
        (b"a: &a [*a]", "a[0]", "*a is not known here"),
        (b"a: 1\n---\nb: 1", "configuration", "line 2, column 1: another document"),
        (b"? [a]\n: 1", "configuration", "a key must be text"),
        (b"a: {<<: 1}", "a", "<< takes mappings only"),
        (b"a: 18446744073709551616", "a", "is a number that"),
        (b"a: 1e999", "a", "is a number that"),
        (b"[" * 100_000, None, f"is nested more than {MOST_DEPTH} deep"),
        (b"- " * 100_000, None, f"is nested more than {MOST_DEPTH} deep"),
        (chain(200), "a99[0]", "is nested more than"),
        (bomb(30), "a6[3]", "aliases stand for more than"),
    ],
)
def test_what_is_wrong_has_path_line_and_column(text, path, message):
    with pytest.raises(ConfigError) as raised:
        read_yaml(text)

    (fault,) = raised.value.faults
    assert message in fault.message
    assert path is None or fault.path == path


def test_a_configuration_file_may_be_yaml(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("routes:\n  all: {router: a}\n")
    documents = files.load(path)

    assert documents.routes == {"all": b'{"router":"a"}'}
    assert read_yaml(files.to_yaml(documents)) == {"routes": {"all": {"router": "a"}}}
    path.write_text("routs: {}")
    with pytest.raises(ConfigError, match="unknown kind"):
        files.load(path)


def test_a_document_that_is_no_json_is_written_as_its_text():
    assert files.to_yaml(Documents(routes={"a": b"{"})) == b"routes:\n  a: '{'\n"
