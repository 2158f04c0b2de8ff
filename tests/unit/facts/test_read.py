"""What `read` refuses and what it says then; what it makes of the rest."""

import tracemalloc

import pytest

from sidecar import facts
from sidecar.errors import InvalidJson
from sidecar.model import MISSING, OPERATIONS

CHAT = "/v1/chat/completions"
DEEP = b"[" * 100_000


def read(body: bytes = b"{}") -> facts.Request:
    return facts.read(CHAT, {}, body)


BAD = {
    "empty": (b"", "is empty"),
    "white space only": (b" \n\t", "is empty"),
    "byte order mark": (b"\xef\xbb\xbf{}", "byte order mark"),
    "gzip": (b"\x1f\x8b\x08\x00\x00", "compressed with gzip"),
    "invalid UTF-8 in a value": (b'{"a":"\xff"}', "not UTF-8: invalid start byte (byte 6)"),
    "invalid UTF-8 in a key": (b'{"\xff":1}', "not UTF-8: invalid start byte (byte 2)"),
    "invalid UTF-8 deep inside": (b'{"a":[{"b":"\xc3"}]}', "not UTF-8: invalid continuation byte"),
    "surrogate as UTF-8": (b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
    "lone surrogate": (b'{"a":"\\ud800 and more text"}', "surrogate stands alone"),
    "lone surrogate at the end": (b'{"a":"\\ud800"}', "surrogate stands alone"),
    "low surrogate first": (b'{"a":"\\udc00\\ud800"}', "surrogate pair (byte 12)"),
    "lone surrogate in a key": (b'{"\\ud800 and more":1}', "surrogate pair (byte 8)"),
    "array": (b"[]", "must be a JSON object: Expected `object`, got `array`"),
    "null": (b"null", "must be a JSON object: Expected `object`, got `null`"),
    "string": (b'"{}"', "must be a JSON object: Expected `object`, got `str`"),
    "trailing garbage": (b'{"a":1}x', "trailing characters (byte 8)"),
    "two objects": (b"{}{}", "trailing characters"),
    "NUL behind": (b"{}\0", "trailing characters"),
    "truncated": (b'{"a":[1,2', "ends too early (byte 9)"),
    "open string": (b'{"a":"b', "ends too early (byte 7)"),
    "NaN": (b'{"a":NaN}', "invalid character (byte 5)"),
    "Infinity": (b'{"a":-Infinity}', "invalid character (byte 6)"),
    "single quotes": (b"{'a':1}", "object keys must be strings (byte 1)"),
    "trailing comma": (b'{"a":1,}', "trailing comma in object (byte 7)"),
    "leading zero": (b'{"a":01}', "invalid number"),
    "comment": (b'{"a":/**/1}', "invalid character (byte 5)"),
    "control character": (b'{"a":"\n"}', "invalid character (byte 6)"),
    "unknown escape": (b'{"a":"\\x41"}', "invalid escaped character"),
    "odd white space": (b'{"a":\x0c1}', "invalid character"),
    "nesting bomb, open": (b'{"a":' + DEEP, "nested too deeply"),
    "nesting bomb, closed": (b'{"a":' + DEEP + b"]" * 100_000 + b"}", "nested too deeply"),
    "nesting bomb of objects": (b'{"a":' * 100_000, "nested too deeply"),
    "a flood of keys": (
        b"{" + b",".join(b'"%d":0' % key for key in range(1001)) + b"}",
        "more than 1000 keys",
    ),
    "fault in a deep value": (b'{"a":{"b":[1,{"c":tru}]}}', "invalid character (byte 19)"),
}


@pytest.mark.parametrize(("body", "message"), BAD.values(), ids=BAD)
def test_a_body_that_is_not_one_json_object_is_refused_with_the_reason(body, message):
    with pytest.raises(InvalidJson) as refusal:
        read(body)
    assert message in refusal.value.message


TWICE = {
    "side by side": (b'{"a":1,"a":2}', "a"),
    "the same value": (b'{"a":1,"a":1}', "a"),
    "first and last": (b'{"model":"x","b":{},"model":"y"}', "model"),
    "last two": (b'{"b":1,"model":"x","model":"y"}', "model"),
    "escaped": (b'{"model":"x","mod\\u0065l":"y"}', "model"),
    "escaped first": (b'{"mod\\u0065l":"x","model":"y"}', "model"),
    "escaped, and the later value begins the earlier": (b'{"\\u0061":12,"a":1}', "a"),
    "later value begins the earlier": (b'{"a":12,"a":1}', "a"),
    "earlier value begins the later": (b'{"a":1,"b":0,"a":12}', "a"),
    "later value begins the earlier, then more": (b'{"a":12,"b":0,"a":1}', "a"),
    "value that looks like members": (b'{"a":{"b":1,"c":2},"b":3,"a":{}}', "a"),
    "lengths that add up": (b'{"a":1,"b":{"x":1,      "b":0},"a":123456789012}', "a"),
    "three times": (b'{"a":1,"b":1,"a":1,"a":1}', "a"),
    "empty key": (b'{"":1,"":2}', ""),
    "wide white space": (b'{ "a" : 1 ,\n "b" : 2 ,\t"a" : 1 }', "a"),
}


@pytest.mark.parametrize(("body", "key"), TWICE.values(), ids=TWICE)
def test_a_top_level_key_that_occurs_twice_is_refused_and_named(body, key):
    with pytest.raises(InvalidJson, match="twice") as refusal:
        read(body)
    assert refusal.value.param == key


def test_of_a_deeper_key_that_occurs_twice_the_last_one_counts():
    assert read(b'{"a":{"b":1,"b":2}}').value(("a", "b")) == 2


def test_a_long_key_that_occurs_twice_is_shown_in_part():
    key = b'"' + b"k" * 1000 + b'"'
    with pytest.raises(InvalidJson) as refusal:
        read(b"{" + key + b":1," + key + b":1}")
    assert len(refusal.value.message) < 200


@pytest.mark.parametrize("value", ["null", "5", "true", "[]", '{"a":"b"}'])
def test_a_model_that_is_no_string_is_refused(value):
    with pytest.raises(InvalidJson, match="'model' must be a string") as refusal:
        read(f'{{"model": {value} }}'.encode())
    assert refusal.value.param == "model"


@pytest.mark.parametrize("value", ["1", '"true"', "[]", "{}", "0.0"])
def test_a_stream_that_is_no_boolean_is_refused(value):
    with pytest.raises(InvalidJson, match="'stream' must be true or false") as refusal:
        read(f'{{"stream": {value} }}'.encode())
    assert refusal.value.param == "stream"


def test_model_and_stream_are_read_however_they_are_written():
    request = read(b'{ "mod\\u0065l" : "gpt\\u002d\xc3\xa9", "stream" : true }')
    assert (request.model, request.stream) == ("gpt-é", True)
    assert (read().model, read().stream) == (None, False)
    assert read(b'{"stream": null}').stream is False


def test_the_query_string_is_no_part_of_the_path():
    for path, operation in OPERATIONS.items():
        request = facts.read(f"{path}?api-version=1?", {}, b"{}")
        assert (request.path, request.operation) == (path, operation)


def test_an_undecided_path_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="'/v1/models' is not decided"):
        facts.read("/v1/models", {}, b"{}")


def test_a_key_of_escapes_takes_memory_in_proportion_to_its_length():
    body = b'{"' + b"\\n" * 300_000 + b'":1}'
    tracemalloc.start()
    try:
        read(body)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(body)
    finally:
        tracemalloc.stop()


def test_a_large_value_is_not_copied():
    body = b'{"messages":"' + b"x" * 2**20 + b'"}'
    tracemalloc.start()
    try:
        read(body)
        assert tracemalloc.get_traced_memory()[1] < 2**16
    finally:
        tracemalloc.stop()


def test_numbers_beyond_a_double_read_as_the_largest_double():
    huge = b"9" * 5000
    request = read(b'{"a":[1e999,-1e999,' + huge + b",-" + huge + b",7,18446744073709551616]}")
    largest = 1.7976931348623157e308
    assert request.value(("a",)) == [largest, -largest, largest, -largest, 7, 2**64]
    assert type(request.value(("a", 5))) is int


def test_nesting_that_read_bore_but_a_later_stack_does_not_is_refused():
    request = read(b'{"a":' + b"[" * 900 + b"]" * 900 + b"}")

    def deeper(frames: int) -> object:
        return deeper(frames - 1) if frames else request.value(("a",))

    with pytest.raises(InvalidJson, match="'a' is nested too deeply"):
        deeper(300)


def test_the_empty_path_is_the_whole_body():
    assert read(b'{"b":[1],"a":null}').value(()) == {"b": [1], "a": None}


@pytest.mark.parametrize("path", [("b",), (0,), ("a", 2), ("a", -1), ("a", "0"), ("a", 0, "x")])
def test_a_path_that_leads_nowhere_is_missing(path):
    assert read(b'{"a":[1,2]}').value(path) is MISSING


def test_a_deep_value_is_decoded_once():
    request = read(b'{"a":{"b":[1]}}')
    assert request.value(("a", "b")) is request.value(("a", "b"))
