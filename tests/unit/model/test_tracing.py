import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from sidecar.decide import decision_id
from sidecar.model import Sampling, TraceContext, read_traceparent, span_context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("header", "context"),
    [
        (VALID, TraceContext(TRACE, SPAN, sampled=True)),
        (f"00-{TRACE}-{SPAN}-00", TraceContext(TRACE, SPAN, sampled=False)),
        (f"00-{TRACE}-{SPAN}-03", TraceContext(TRACE, SPAN, sampled=True)),
        (f"01-{TRACE}-{SPAN}-01", TraceContext(TRACE, SPAN, sampled=True)),
        (f"cc-{TRACE}-{SPAN}-01-what.the.future.will.be", TraceContext(TRACE, SPAN, sampled=True)),
    ],
)
def test_a_valid_traceparent_is_read(header, context):
    assert read_traceparent(header) == context


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        VALID + "-more",
        VALID + " ",
        VALID + "\n",
        VALID[:-1],
        VALID.upper(),
        f"{VALID},{VALID}",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.x",
    ],
)
def test_what_is_not_valid_is_no_context(header):
    assert read_traceparent(header) is None


@given(st.text(max_size=80) | st.from_regex(r"[0-9a-f]{2}(-[0-9a-f]+){3}.?", fullmatch=True))
def test_any_text_is_read_or_not(header):
    context = read_traceparent(header)

    assert context is None or read_traceparent(context.header) == context


def test_a_trace_that_begins_here_has_the_decisions_id():
    identity = decision_id(seed=0x0123456789ABCDEF, now=1_795_000_000.25)

    context = span_context(identity, None, Sampling())

    assert context.trace_id.lstrip("0") == identity.lstrip("0")
    assert context.span_id == "0123456789abcdef"
    assert read_traceparent(context.header) == context


def test_a_clients_trace_goes_on_with_a_span_of_ours():
    identity = decision_id(seed=7, now=1.0)

    context = span_context(identity, read_traceparent(VALID), Sampling())

    assert context == TraceContext(TRACE, f"{7:016x}", sampled=True)


@pytest.mark.parametrize(
    ("sampling", "new", "sampled_by_client", "not_sampled_by_client"),
    [
        (Sampling(), True, True, False),
        (Sampling(ratio=0.0), False, True, False),
        (Sampling(follow=False), True, True, True),
        (Sampling(ratio=0.0, follow=False), False, False, False),
    ],
)
def test_sampling_follows_the_client_or_does_not(
    sampling, new, sampled_by_client, not_sampled_by_client
):
    yes, no = TraceContext(TRACE, SPAN, sampled=True), TraceContext(TRACE, SPAN, sampled=False)

    assert sampling.samples(TRACE, None) is new
    assert sampling.samples(TRACE, yes) is sampled_by_client
    assert sampling.samples(TRACE, no) is not_sampled_by_client


def test_a_share_is_drawn_as_opentelemetry_draws_it():
    numbers, ours = random.Random(1), Sampling(ratio=0.3, follow=False)
    theirs = TraceIdRatioBased(0.3)

    traces = [numbers.getrandbits(128) for _ in range(2000)]
    drawn = [ours.samples(f"{trace:032x}", None) for trace in traces]

    expected = [theirs.should_sample(None, trace, "x").decision for trace in traces]
    assert drawn == [one is Decision.RECORD_AND_SAMPLE for one in expected]
    assert 500 < sum(drawn) < 700
