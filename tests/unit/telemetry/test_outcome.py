from pathlib import Path

import msgspec
import pytest
import yaml
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from sidecar.model import Assignment, Price
from sidecar.pb.access_log_entry_pb2 import HTTPAccessLogEntry
from sidecar.telemetry.outcome import (
    FailedAttempt,
    Outcome,
    Usage,
    read_attempt,
    read_request,
)
from sidecar.telemetry.usage import cost_usd
from tests.unit.telemetry.entries import entry

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "outcomes.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_an_entry_is_read_as(case):
    parts = case["outcome"]
    for name, kind in (("tokens", Usage), ("unlogged", FailedAttempt)):
        if name in parts:
            parts = parts | {name: kind(**parts[name])}
    if "assignments" in parts:
        parts = parts | {"assignments": [Assignment(*one) for one in parts["assignments"]]}

    outcome = read_request(entry(**case["entry"]))

    rounded = {
        name: round(value, 9) if isinstance(value, float) else value
        for name, value in msgspec.structs.asdict(outcome).items()
    }
    expected = {k: tuple(v) if isinstance(v, list) else v for k, v in parts.items()}
    assert Outcome(**rounded) == Outcome(**expected)


def test_a_token_usage_that_cannot_be_parsed_is_partial():
    made = entry(cluster="small", status=200, tokens={"input_tokens": 3})
    usage = made.common_properties.metadata.typed_filter_metadata["envoy.ai.token_usage"]
    usage.value = b"\xff\xff"

    assert read_request(made).tokens == Usage(partial=True)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"status": 500}, FailedAttempt("small", "500", blamed=True)),
        ({"status": 429}, FailedAttempt("small", "429", blamed=True)),
        ({"status": 401}, FailedAttempt("small", "401", blamed=True)),
        ({"status": 400}, FailedAttempt("small", "400", blamed=False)),
        ({"status": 422}, FailedAttempt("small", "422", blamed=False)),
        (
            {"flags": ["upstream_request_timeout"]},
            FailedAttempt("small", "timeout", blamed=True),
        ),
        (
            {"flags": ["upstream_connection_termination"]},
            FailedAttempt("small", "reset", blamed=True),
        ),
        (
            {"status": 200, "flags": ["upstream_protocol_error"]},
            FailedAttempt("small", "protocol_error", blamed=True),
        ),
        (
            {"status": 503, "route_name": "undecided"},
            FailedAttempt("small", "503", blamed=True, undecided=True),
        ),
        ({}, FailedAttempt("small", "unknown", blamed=False)),
        ({"flags": ["downstream_connection_termination"]}, None),
        ({"status": 200}, None),
        ({"status": 500, "cluster": ""}, None),
    ],
    ids=str,
)
def test_a_failed_attempt_is_read_as(parts, expected):
    assert read_attempt(entry(**{"cluster": "small~limited"} | parts)) == expected


@given(place=st.integers(min_value=0), byte=st.binary(min_size=1, max_size=2))
def test_a_damaged_entry_is_read_if_it_parses(place, byte):
    raw = entry(**CASES[0]["entry"]).SerializeToString()
    place %= len(raw)
    try:
        made = HTTPAccessLogEntry.FromString(raw[:place] + byte + raw[place + 1 :])
    except DecodeError:
        return

    assert isinstance(read_request(made), Outcome)
    assert read_attempt(made) is None or read_attempt(made).backend


@given(
    spaces=st.dictionaries(
        st.sampled_from(["pointsman.decision", "pointsman.route", "pointsman.request"]),
        st.dictionaries(
            st.sampled_from(["id", "us", "version", "warnings", "path", "priority_groups"]),
            st.recursive(
                st.none() | st.booleans() | st.floats() | st.text(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                max_leaves=5,
            ),
        ),
    ),
    tags=st.dictionaries(st.sampled_from(["ttft_us", "upstream_us", "stream"]), st.text()),
)
def test_metadata_of_any_shape_is_read(spaces, tags):
    outcome = read_request(entry(spaces=spaces, tags=tags, cluster="small", status=200))

    assert outcome.backend == "small"


PRICE = Price(per_input_token=2.0, per_output_token=8.0, per_cached_input_token=0.5)


@pytest.mark.parametrize(
    ("tokens", "price", "expected"),
    [
        (Usage(10, 5), PRICE, 60.0),
        (Usage(10, 5, cached=4), PRICE, 54.0),
        (Usage(10, 5, cached=4), Price(2.0, 8.0), 60.0),
        (Usage(10, 5, cached=400), PRICE, 45.0),
        (Usage(None, 5), PRICE, 40.0),
        (Usage(), PRICE, 0.0),
        (Usage(10, 5), Price(), 0.0),
    ],
)
def test_cost_prices_cached_input_apart(tokens, price, expected):
    assert cost_usd(tokens, price) == expected
