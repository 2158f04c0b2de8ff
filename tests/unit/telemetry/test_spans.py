import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.model import Assignment, Backend, Endpoint, Sampling, TraceContext
from sidecar.telemetry.outcome import FailedAttempt, Outcome, Usage, read_attempt, read_request
from sidecar.telemetry.spans import Event, Spans
from sidecar.telemetry.traced import Traced, TracedAttempt
from tests.unit.telemetry.entries import entry

TRACE, CLIENT, ID = (
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "00f067aa0ba902b7",
    "019aa3b1c2d3e4f5061728394a5b",
)
OURS = f"00-{TRACE}-{ID[-16:]}-01"
ALL = Sampling()
BACKENDS = {
    "small": Backend(
        name="small",
        model="gpt-small",
        provider="openai",
        endpoints=(Endpoint("https://user:secret@api.test/v1"),),
    ),
    "twin": Backend(
        name="twin",
        model="gpt-small",
        provider="azure.ai.openai",
        endpoints=(Endpoint("http://10.0.0.1:8000"), Endpoint("http://10.0.0.2:8000")),
    ),
}
DECIDED = Outcome(
    decision_id=ID,
    route="premium",
    strategy="fallback/optimized",
    operation="messages",
    version=7,
    decision_s=0.00025,
    warnings=("unknown_model",),
    assignments=(Assignment("checkout", 3, "canary", 0.2, "9f86d081884c7d65", ""),),
    plan=("twin", "small"),
    backend="small",
    attempts=2,
    status=200,
    started=1_795_000_000.5,
    duration_s=0.25,
    upstream_s=0.2,
    ttft_s=0.125,
    tokens=Usage(10, 5, 4, model="gpt-small-0613"),
    traced=Traced(OURS, "vendor=1", CLIENT, upstream_after_s=0.03125),
)


def span_of(outcome, sampling=ALL):
    return Spans(sampling, lambda: BACKENDS).of_outcome(outcome)


def changed(**fields):
    return msgspec.structs.replace(DECIDED, **fields)


def test_a_decided_request_is_a_span_by_the_conventions_for_generative_ai():
    span = span_of(DECIDED)

    assert (span.name, span.kind, span.failed) == ("chat gpt-small", "server", False)
    assert span.context == TraceContext(TRACE, ID[-16:], sampled=True)
    assert (span.parent, span.state) == (CLIENT, "vendor=1")
    assert (span.start_ns, span.end_ns) == (1_795_000_000_500_000_000, 1_795_000_000_750_000_000)
    assert span.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-small",
        "gen_ai.response.model": "gpt-small-0613",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "server.address": "api.test",
        "server.port": 443,
        "pointsman.outcome": "ok",
        "pointsman.decision.id": ID,
        "pointsman.decision.duration": 0.00025,
        "pointsman.route": "premium",
        "pointsman.strategy": "fallback/optimized",
        "pointsman.backend": "small",
        "pointsman.attempts": 2,
        "pointsman.config.version": 7,
        "pointsman.warnings": ("unknown_model",),
        "pointsman.experiment.checkout": "canary",
    }


def test_a_stream_has_its_first_token_as_an_event():
    span = span_of(changed(stream=True))

    assert span.events == (Event("first_token", 1_795_000_000_656_250_000),)
    assert span.attributes["gen_ai.response.time_to_first_chunk"] == 0.125
    assert span.attributes["gen_ai.request.stream"] is True
    assert span_of(DECIDED).events == ()


def test_a_backend_with_several_endpoints_has_no_address():
    attributes = span_of(changed(backend="twin")).attributes

    assert attributes["gen_ai.provider.name"] == "azure.ai.openai"
    assert "server.address" not in attributes


def test_a_backend_that_is_gone_from_the_rules_is_named_all_the_same():
    span = span_of(changed(backend="gone"))

    assert span.name == "chat"
    assert span.attributes["pointsman.backend"] == "gone"
    assert "gen_ai.request.model" not in span.attributes


@pytest.mark.parametrize(
    ("fields", "error", "outcome", "failed"),
    [
        ({"status": 503}, "503", "error", True),
        ({"status": 400}, "400", "error", False),
        ({"failure": "timeout", "status": 504}, "timeout", "error", True),
        ({"client_gone": True, "status": 0}, "client_gone", "ok", False),
        ({}, None, "ok", False),
    ],
    ids=str,
)
def test_an_error_has_its_type(fields, error, outcome, failed):
    span = span_of(changed(**fields))

    assert span.attributes.get("error.type") == error
    assert span.attributes["pointsman.outcome"] == outcome
    assert span.failed is failed


def test_a_refusal_continues_the_clients_trace_under_the_id_that_it_was_told():
    refused = Outcome(
        operation="chat",
        status=400,
        error_code="invalid_router",
        traced=Traced(f"00-{TRACE}-{CLIENT}-01", refused_id=ID),
    )

    span = span_of(refused)

    assert span.context == TraceContext(TRACE, ID[-16:], sampled=True)
    assert span.parent == CLIENT
    assert span.attributes["pointsman.decision.id"] == ID
    assert span.attributes["error.type"] == "invalid_router"
    assert span.attributes["pointsman.outcome"] == "rejected"


@pytest.mark.parametrize("header", ["", f"00-{TRACE}-{CLIENT}-01"])
def test_a_request_that_failed_open_has_a_span_that_no_backend_knows(header):
    opened = Outcome(failed_open=True, status=200, backend="small", traced=Traced(header, "a=b"))

    first, second = span_of(opened), span_of(opened)

    assert first.context.span_id != second.context.span_id
    assert (first.context.trace_id == TRACE) is bool(header)
    assert (first.parent, first.state) == ((CLIENT, "a=b") if header else ("", ""))
    assert first.attributes["pointsman.outcome"] == "fail_open"


@pytest.mark.parametrize(
    ("traced", "sampling", "sampled"),
    [
        (Traced(OURS), Sampling(), True),
        (Traced(OURS[:-2] + "00"), Sampling(), False),
        (Traced(OURS), Sampling(0.0, follow=False), False),
        (Traced(), Sampling(0.0), False),
        (Traced(), Sampling(), True),
        (Traced("garbage"), Sampling(0.0), False),
    ],
)
def test_only_what_is_sampled_is_a_span(traced, sampling, sampled):
    assert (span_of(changed(traced=traced), sampling) is not None) is sampled


def test_what_was_not_to_be_decided_is_no_span():
    assert span_of(changed(undecided=True)) is None


ATTEMPT = FailedAttempt("small", "503", blamed=True, traced=TracedAttempt(OURS, 5.0, 0.5))


def attempt_span(attempt, sampling=ALL):
    return Spans(sampling, lambda: BACKENDS).of_attempt(attempt)


def test_a_failed_attempt_is_a_child_of_its_requests_span():
    span = attempt_span(ATTEMPT)

    assert (span.name, span.kind, span.failed) == ("attempt small", "client", True)
    assert (span.context.trace_id, span.parent) == (TRACE, ID[-16:])
    assert span.context.span_id not in {ID[-16:], attempt_span(ATTEMPT).context.span_id}
    assert (span.start_ns, span.end_ns) == (5_000_000_000, 5_500_000_000)
    assert span.attributes == {
        "error.type": "503",
        "http.response.status_code": 503,
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-small",
        "server.address": "api.test",
        "server.port": 443,
        "pointsman.backend": "small",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"undecided": True},
        {"traced": None},
        {"traced": TracedAttempt("", 5.0, 0.5)},
        {"traced": TracedAttempt(OURS[:-2] + "00", 5.0, 0.5)},
    ],
    ids=str,
)
def test_an_attempt_outside_of_sampled_requests_is_no_span(fields):
    assert attempt_span(ATTEMPT._replace(**fields)) is None


def test_the_log_of_requests_has_what_a_trace_needs():
    made = entry(
        status=200,
        sent={"traceparent": OURS, "tracestate": "vendor=1"},
        answered={"x-pointsman-decision": ID},
        spaces={"pointsman.trace": {"traceparent": OURS, "parent": CLIENT}},
        upstream_after_us=31250,
    )

    assert read_request(made).traced == Traced(OURS, "vendor=1", CLIENT, ID, 0.03125)
    assert read_request(entry(status=200)).traced == Traced()


def test_the_log_of_attempts_has_the_context_that_went_upstream():
    made = entry(
        cluster="small",
        status=503,
        sent={"traceparent": OURS},
        started_us=5_000_000,
        duration_us=500_000,
    )

    assert read_attempt(made).traced == TracedAttempt(OURS, 5.0, 0.5)


def test_a_last_attempt_that_only_the_log_of_requests_has_ends_with_the_request():
    made = entry(
        cluster="small",
        status=503,
        flags=["no_healthy_upstream"],
        sent={"traceparent": OURS},
        started_us=5_000_000,
        duration_us=500_000,
        tags={"upstream_us": "250000"},
    )

    assert read_request(made).unlogged.traced == TracedAttempt(OURS, 5.25, 0.25)


def test_headers_of_any_bytes_and_length_are_read():
    made = entry(cluster="small", status=500)
    made.request.request_headers["traceparent"] = b"\xff" * 100_000
    made.request.request_headers["tracestate"] = b"\xff" * 100_000

    outcome = read_request(type(made).FromString(made.SerializeToString()))

    assert len(outcome.traced.header) == len(outcome.traced.state) == 512
    assert span_of(outcome).parent == ""
    assert attempt_span(read_attempt(made)) is None


times = st.floats(allow_nan=False) | st.integers()


@given(
    started=times, duration=times, after=st.none() | times, ttft=st.none() | times, text=st.text()
)
def test_odd_outcomes_are_spans_too(started, duration, after, ttft, text):
    span = span_of(
        changed(
            started=started,
            duration_s=duration,
            ttft_s=ttft,
            decision_id=text,
            stream=True,
            traced=Traced("", text, text, text, after),
        )
    )

    assert 0 <= span.start_ns <= span.end_ns < 2**63
    assert all(0 <= event.at_ns < 2**63 for event in span.events)
