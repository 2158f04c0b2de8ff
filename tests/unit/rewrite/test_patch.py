"""What an attempt changes, byte for byte, in the arrangements that are easy to get wrong."""

import pytest

from sidecar import facts, rewrite
from sidecar.errors import InvalidJson
from sidecar.model import Attempt, Backend, Splice

PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
USAGE = '"stream_options":{"include_usage":true}'


def patched(body: str, operation: str = "chat", defaults=None, **parameters: object) -> str:
    backend = Backend("b", "new", "p", defaults=defaults or {})
    request = facts.read(PATHS[operation], {}, body.encode())
    splices = rewrite.patch(request, Attempt(backend, parameters))
    return rewrite.apply(body.encode(), splices).decode()


ARRANGEMENTS = {
    "model replaced": ('{"model":"old","a":1}', '{"model":"new","a":1}'),
    "model there already": ('{ "model" : "new" }', '{ "model" : "new" }'),
    "model there in another spelling": (r'{"model":"n\u0065w"}', r'{"model":"n\u0065w"}'),
    "key in another spelling": (r'{"mod\u0065l":"old"}', r'{"mod\u0065l":"new"}'),
    "model added": ('{"a":1}', '{"a":1,"model":"new"}'),
    "model added before white space": ('{\n  "a": 1\n}\n', '{\n  "a": 1,"model":"new"\n}\n'),
    "model added to nothing": ("{}", '{"model":"new"}'),
    "model added to white space": (" { } ", ' {"model":"new" } '),
    "control field first": ('{"router":{},"model":"new"}', '{"model":"new"}'),
    "control field last": ('{"model":"new","router":{}}', '{"model":"new"}'),
    "control field between": ('{"a":1,"router":{},"model":"new"}', '{"a":1,"model":"new"}'),
    "control fields at both ends": ('{"extra":1,"model":"new","router":{}}', '{"model":"new"}'),
    "adjacent, first": ('{"extra":1 , "router":{} , "model":"new"}', '{"model":"new"}'),
    "adjacent, last": ('{"model":"new" , "extra":1 , "router":{} }', '{"model":"new" }'),
    "adjacent, between": (
        '{"a":1,"extra":1,"router":{},"fallbacks":[],"model":"new"}',
        '{"a":1,"model":"new"}',
    ),
    "two runs": (
        '{"a":1,"extra":1,"b":2,"max_retries":3,"model":"new"}',
        '{"a":1,"b":2,"model":"new"}',
    ),
    "all": ('{ "extra":1, "max_cost_per_token":2 }', '{ "model":"new" }'),
    "last, while the model is added": ('{"a":1,"extra":2}', '{"a":1,"model":"new"}'),
    "last, behind the model": ('{"model":"old","extra":2}', '{"model":"new"}'),
    "first, before the model": ('{"extra":2,"model":"old"}', '{"model":"new"}'),
    "deeper names stay": (
        '{"model":"new","metadata":{"extra":1,"router":2,"model":"old"},"user":"u"}',
        '{"model":"new","metadata":{"extra":1,"router":2,"model":"old"},"user":"u"}',
    ),
    "multibyte before the span": ('{"a":"é漢😀","model":"old"}', '{"a":"é漢😀","model":"new"}'),
}


@pytest.mark.parametrize(("body", "result"), ARRANGEMENTS.values(), ids=ARRANGEMENTS)
def test_members_are_replaced_removed_and_added_with_their_commas(body, result):
    assert patched(body) == result


LAYERS = {
    "target over defaults over request": ({"t": 2}, {"t": 3}, '{"model":"new","t":3}'),
    "defaults over request": ({"t": 2}, {}, '{"model":"new","t":2}'),
    "request alone": ({}, {}, '{"model":"new","t":1}'),
    "a null target leaves the default": ({"t": 2}, {"t": None}, '{"model":"new","t":2}'),
    "nulls leave the request": ({"t": None}, {"t": None}, '{"model":"new","t":1}'),
    "a target never sets what steers": (
        {"extra": 1, "model": "x"},
        {"router": {}, "model": "y", "max_retries": 1},
        '{"model":"new","t":1}',
    ),
    "new parameters go last": ({"a": 1}, {"b": [2]}, '{"model":"new","t":1,"a":1,"b":[2]}'),
    "another type is another value": ({}, {"t": True}, '{"model":"new","t":true}'),
    "a float is another value": ({}, {"t": 1.0}, '{"model":"new","t":1.0}'),
}


@pytest.mark.parametrize(("defaults", "parameters", "result"), LAYERS.values(), ids=LAYERS)
def test_parameters_have_their_precedence(defaults, parameters, result):
    backend = Backend("b", "new", "p", defaults=defaults)
    body = b'{"model":"new","t":1}'
    request = facts.read(PATHS["chat"], {}, body)
    splices = rewrite.patch(request, Attempt(backend, parameters))
    assert rewrite.apply(body, splices).decode() == result


def test_a_value_that_is_there_in_another_spelling_is_not_touched():
    body = '{"model":"new","t": 0.70,"stop": { "b" : 1, "\\u0061" : [ ] } }'
    assert patched(body, t=0.7, stop={"a": [], "b": 1}) == body


def with_options(options: str) -> str:
    return f'{{"model":"new","stream":true,"stream_options":{options}}}'


STREAMS = {
    "absent": ('{"model":"new","stream":true}', f'{{"model":"new","stream":true,{USAGE}}}'),
    "null": (with_options("null"), with_options('{"include_usage":true}')),
    "another type": (with_options("[1]"), with_options('{"include_usage":true}')),
    "empty": (with_options("{ }"), with_options('{"include_usage":true}')),
    "null inside": (
        with_options('{"include_usage":null}'),
        with_options('{"include_usage":true}'),
    ),
    "merged": (with_options('{"a": 1}'), with_options('{"a":1,"include_usage":true}')),
    "true already": (
        with_options('{ "include_usage" : true }'),
        with_options('{ "include_usage" : true }'),
    ),
    "explicitly false": (
        with_options('{ "include_usage":false}'),
        with_options('{ "include_usage":false}'),
    ),
    "no stream": (
        '{"model":"new","stream_options":{"a":1}}',
        '{"model":"new","stream_options":{"a":1}}',
    ),
}


@pytest.mark.parametrize("operation", ["chat", "completions"])
@pytest.mark.parametrize(("body", "result"), STREAMS.values(), ids=STREAMS)
def test_a_stream_asks_for_its_usage(body, result, operation):
    assert patched(body, operation) == result


@pytest.mark.parametrize("operation", ["embeddings", "responses", "messages"])
def test_other_operations_have_no_stream_options(operation):
    body = '{"model":"new","stream":true}'
    assert patched(body, operation) == body


def test_a_stream_that_parameters_make_asks_for_its_usage_too():
    assert patched('{"model":"new"}', stream=True) == f'{{"model":"new","stream":true,{USAGE}}}'
    body = '{"model":"new","stream":true}'
    assert patched(body, stream=False) == '{"model":"new","stream":false}'
    assert patched(body, stream=1) == '{"model":"new","stream":1}'


def test_a_stream_whose_tokens_nobody_counts_asks_for_what_it_asks_for():
    body = '{"model":"new","stream":true}'
    request = facts.read(PATHS["chat"], {}, body.encode())
    backend = Backend("b", "new", "p")

    assert not rewrite.patch(request, Attempt(backend, {}), count_tokens=False)
    wished = Attempt(backend, {"stream_options": {"include_usage": True}})
    splices = rewrite.patch(request, wished, count_tokens=False)
    assert rewrite.apply(body.encode(), splices).decode() == f"{body[:-1]},{USAGE}}}"


def test_stream_options_of_a_target_are_merged_as_the_clients_are():
    options = {"a": 1}
    result = patched(with_options('{"include_usage":false}'), stream_options=options)
    assert result == with_options('{"a":1,"include_usage":true}')
    assert options == {"a": 1}
    assert patched(with_options("{}"), stream_options={"include_usage": False}) == with_options(
        '{"include_usage":false}'
    )


def test_offsets_are_bytes_of_the_original_body_in_ascending_order():
    body = '{"é":1,"router":2,"model":"old"}'.encode()
    request = facts.read(PATHS["chat"], {}, body)
    splices = rewrite.patch(request, Attempt(Backend("b", "new", "p"), {"t": 1}))
    assert splices == (Splice(7, 11, ""), Splice(27, 5, '"new"'), Splice(32, 0, ',"t":1'))


@pytest.mark.parametrize("value", ["\ud800", ["a\udfff"], {"\ud800": 1}])
def test_a_lone_surrogate_does_not_reach_the_upstream(value):
    result = patched('{"model":"new"}', t=value)
    assert result == patched('{"model":"new"}', t=_questioned(value))
    assert patched('{"model":"new","t":5}', t=value) == result


def _questioned(value: object) -> object:
    if isinstance(value, list):
        return [_questioned(item) for item in value]
    if isinstance(value, dict):
        return {_questioned(key): item for key, item in value.items()}
    return value.encode(errors="replace").decode()


def test_a_parameter_nested_too_deeply_to_be_written_is_refused():
    nested: list = []
    for _ in range(5_000):
        nested = [nested]
    with pytest.raises(InvalidJson, match="nested too deeply"):
        patched('{"model":"new"}', t=nested)


def test_no_splices_leave_the_body_as_it_is():
    assert rewrite.apply(b"\x00any bytes\xff", ()) == b"\x00any bytes\xff"
