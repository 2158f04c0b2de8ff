"""Splices do to the bytes what editing does to the parsed JSON, and nothing else."""

import json

from hypothesis import given, settings

from sidecar import facts, rewrite
from sidecar.model import CONTROL_FIELDS, OPERATIONS
from tests.strategies import PATHS, attempts, bodies


def edited(body: dict, operation: str, attempt) -> dict:
    """Do it the plain way, on the parsed body: the reference that `patch` is held to."""
    result = {key: value for key, value in body.items() if key not in CONTROL_FIELDS}
    for layer in (attempt.backend.defaults, attempt.parameters):
        for key, value in layer.items():
            if value is not None and key != "model" and key not in CONTROL_FIELDS:
                result[key] = value
    result["model"] = attempt.backend.model
    if operation in {"chat", "completions"} and result.get("stream") is True:
        options = result.get("stream_options")
        if not isinstance(options, dict):
            options = {}
        if options.get("include_usage") is not False:
            result["stream_options"] = {**options, "include_usage": True}
    return result


def exactly(value: object) -> str:
    """JSON text that tells 1 from 1.0 and from true, which ``==`` does not."""
    return json.dumps(value, sort_keys=True)


@settings(max_examples=200)
@given(PATHS, bodies(), attempts())
def test_applying_the_splices_is_editing_the_parsed_body(path, body, attempt):
    splices = rewrite.patch(facts.read(path, {}, body), attempt)
    expected = edited(json.loads(body), OPERATIONS[path], attempt)
    pairs = json.loads(rewrite.apply(body, splices), object_pairs_hook=list)
    assert len(pairs) == len(expected)
    assert exactly(json.loads(rewrite.apply(body, splices))) == exactly(expected)


@settings(max_examples=100)
@given(PATHS, bodies(), attempts())
def test_bytes_outside_the_splices_are_the_clients(path, body, attempt):
    splices = rewrite.patch(facts.read(path, {}, body), attempt)
    result = rewrite.apply(body, splices)
    ends = [0] + [splice.offset + splice.length for splice in splices]
    starts = [splice.offset for splice in splices] + [len(body)]
    at = 0
    for end, start, text in zip(ends, starts, [s.text for s in splices] + [""], strict=True):
        assert end <= start
        assert result[at : at + start - end] == body[end:start]
        at += start - end + len(text.encode())
    assert at == len(result)


@settings(max_examples=60)
@given(PATHS, bodies(), attempts())
def test_a_body_that_was_rewritten_needs_no_further_change(path, body, attempt):
    result = rewrite.apply(body, rewrite.patch(facts.read(path, {}, body), attempt))
    assert rewrite.patch(facts.read(path, {}, result), attempt) == ()


@settings(max_examples=60)
@given(PATHS, bodies(), attempts())
def test_members_that_stay_keep_their_bytes(path, body, attempt):
    before = facts.read(path, {}, body)
    after = facts.read(path, {}, rewrite.apply(body, rewrite.patch(before, attempt)))
    named = {*attempt.parameters, *attempt.backend.defaults, *CONTROL_FIELDS}
    for key in set(before.spans) - named - {"model", "stream_options"}:
        kept, was = after.spans[key], before.spans[key]
        assert after.body[kept.key : kept.end] == body[was.key : was.end]
