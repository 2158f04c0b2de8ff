"""What is different between documents, and between configurations."""

import pytest

from sidecar.config.differences import differences, document_changes
from sidecar.config.documents import Documents


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("x.a", 1, 2)]),
        ({"a": 1}, {"b": 1}, [("x.a", 1, None), ("x.b", None, 1)]),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, [("x.a.b[1].c", 2, 3)]),
        ({"a": [1, 2]}, {"a": [1]}, [("x.a", [1, 2], [1])]),
        ({"a": 1}, {"a": True}, [("x.a", 1, True)]),
        (None, {"a": 1}, [("x", None, {"a": 1})]),
        ({"a": 0}, "{", [("x", {"a": 0}, "{")]),
    ],
)
def test_differences_have_the_path_of_the_innermost_value(before, after, found):
    assert [tuple(one) for one in differences(before, after, "x")] == found


def test_documents_that_are_only_written_otherwise_are_no_changes():
    before = Documents.parse(b'{"routes": {"a": {"x": 1, "y": 2}, "b": {}, "c": {}}}')
    after = Documents.parse(b'{"routes": {"a": {"y":2,"x":1}, "b": {"z": 1}, "d": {}}}')

    found = [tuple(one) for one in document_changes(before, after)]

    assert found == [
        ("routes", "b", {}, {"z": 1}),
        ("routes", "c", {}, None),
        ("routes", "d", None, {}),
    ]


def test_what_is_no_json_is_its_text():
    (found,) = document_changes(Documents(routes={"a": b"{"}), Documents(routes={"a": b"{}"}))

    assert (found.before, found.after) == ("{", {})


def test_documents_are_laid_over_others_and_null_removes_one():
    below = Documents.parse(b'{"routes": {"a": {}, "b": {"x": 1}}, "flags": {"f": {}}}')
    over = Documents.parse(b'{"routes": {"a": null, "b": {"x": 2}, "c": {}, "none": null}}')

    found = below.overlaid(over)

    assert found.routes == {"b": b'{"x": 2}', "c": b"{}"}
    assert found.flags == {"f": b"{}"}
