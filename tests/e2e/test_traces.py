"""Traces end to end: client → Envoy → model, and the collector that is told of it."""

import json

import pytest

from tests.e2e.collector import Collector, attributes
from tests.e2e.system import System
from tests.ports import free_port

pytestmark = pytest.mark.e2e
CLIENT = "00f067aa0ba902b7"
FAILED = 2


@pytest.fixture(scope="module")
def collector():
    collector = Collector(free_port())
    collector.start()
    yield collector
    collector.stop()


@pytest.fixture(scope="module")
def traced(tmp_path_factory, collector):
    """One system whose sidecar has a collector; the environment is set for its start alone."""
    system = System(tmp_path_factory.mktemp("traced"), workers=1, log_level="debug")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=collectors",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        }.items():
            patch.setenv(name, value)
        try:
            yield system.start()
        finally:
            system.stop()


@pytest.fixture(autouse=True)
def calm(traced):
    traced.calm()


numbers = iter(range(1, 1000))


def begin(flags="01"):
    """Return the id of a client's trace, and the header that says so."""
    trace_id = f"{next(numbers):032x}"
    return trace_id, {"traceparent": f"00-{trace_id}-{CLIENT}-{flags}", "tracestate": "vendor=1"}


def told(system, collector, trace_id, count=1):
    """Wait for that many spans of a trace and return them, the request's first."""
    system.until(lambda: len(collector.of_trace(trace_id)) >= count, f"{count} spans of a trace")
    return sorted(collector.of_trace(trace_id), key=lambda span: span.kind)


def upstream(system, name):
    return dict(system.last(name).headers)


def log(system):
    return (system.settings.run_dir / "sidecar.log").read_text()


def test_client_gateway_and_backend_are_one_trace(traced, collector):
    trace_id, headers = begin()

    response = traced.chat(headers=headers | {"authorization": "Bearer sk-1", "x-user-id": "ann"})

    (span,) = told(traced, collector, trace_id)
    assert (span.name, span.kind) == ("chat small", span.SPAN_KIND_SERVER)
    assert span.parent_span_id.hex() == CLIENT
    sent = upstream(traced, "small")
    assert sent["traceparent"] == f"00-{trace_id}-{span.span_id.hex()}-01"
    assert sent["tracestate"] == span.trace_state == "vendor=1"
    known = attributes(span)
    assert known["pointsman.decision.id"] == response.headers["x-pointsman-decision"]
    assert known["pointsman.route"] == "default"
    assert known["gen_ai.response.model"] == "small"
    assert known["gen_ai.usage.output_tokens"] > 0
    assert f"{known['server.address']}:{known['server.port']}" == traced.models["small"].address
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 10e9


def test_a_request_without_a_trace_begins_one_that_its_decisions_id_finds(traced, collector):
    identity = traced.chat().headers["x-pointsman-decision"]

    (span,) = told(traced, collector, identity.zfill(32))
    assert span.parent_span_id == b""
    assert upstream(traced, "small")["traceparent"].split("-")[1:3] == [
        identity.zfill(32),
        span.span_id.hex(),
    ]


def test_a_trace_that_is_not_valid_is_begun_anew(traced, collector):
    response = traced.chat(headers={"traceparent": "00-0-0-01"})

    (span,) = told(traced, collector, response.headers["x-pointsman-decision"].zfill(32))
    assert span.span_id.hex() in upstream(traced, "small")["traceparent"]


def test_a_stream_has_its_first_token_within_it(traced, collector):
    trace_id, headers = begin()

    traced.chat(headers=headers, stream=True)

    (span,) = told(traced, collector, trace_id)
    (event,) = span.events
    assert event.name == "first_token"
    assert span.start_time_unix_nano < event.time_unix_nano <= span.end_time_unix_nano
    assert attributes(span)["gen_ai.response.time_to_first_chunk"] > 0


def test_a_fallback_shows_the_attempt_that_failed(traced, collector):
    trace_id, headers = begin()
    traced.models["small"].control(status=503)

    assert traced.chat(headers=headers).headers["x-pointsman-backend"] == "large"

    span, attempt = told(traced, collector, trace_id, count=2)
    assert attributes(span)["pointsman.attempts"] == 2
    assert span.status.code != FAILED
    assert (attempt.name, attempt.kind) == ("attempt small", attempt.SPAN_KIND_CLIENT)
    assert attempt.parent_span_id == span.span_id
    assert attempt.status.code == FAILED
    assert attributes(attempt)["error.type"] == "503"
    assert span.start_time_unix_nano <= attempt.start_time_unix_nano
    assert attempt.end_time_unix_nano <= span.end_time_unix_nano
    for model in ("small", "large"):
        assert upstream(traced, model)["traceparent"].split("-")[2] == span.span_id.hex()


def test_a_refusal_is_a_span_too_and_a_line_of_the_log(traced, collector):
    trace_id, headers = begin()

    response = traced.chat(headers=headers, router={"type": "nonsense"})

    (span,) = told(traced, collector, trace_id)
    assert span.parent_span_id.hex() == CLIENT
    known, identity = attributes(span), response.headers["x-pointsman-decision"]
    assert known["error.type"] == "invalid_router"
    assert known["pointsman.decision.id"] == identity
    traced.until(lambda: identity in log(traced), "the line")
    (line,) = [json.loads(line) for line in log(traced).splitlines() if identity in line]
    assert (line["event"], line["trace_id"]) == ("client_got_error", trace_id)
    assert line["error"] == "invalid_router"


def test_what_the_client_does_not_sample_is_passed_on_and_not_told(traced, collector):
    trace_id, headers = begin(flags="00")
    traced.chat(headers=headers)
    sent = upstream(traced, "small")["traceparent"].split("-")
    assert sent[1] == trace_id
    assert sent[2] != CLIENT
    assert sent[3] == "00"

    later, headers = begin()
    traced.chat(headers=headers)
    told(traced, collector, later)
    assert collector.of_trace(trace_id) == []


def test_nothing_of_the_prompt_and_no_header_is_in_a_span(traced, collector):
    trace_id, headers = begin()
    secrets = {"authorization": "Bearer sk-secret1", "x-user-id": "secret2", "x-other": "secret3"}

    traced.chat("secret4", headers=headers | secrets, user="secret5", metadata={"a": "secret6"})

    (span,) = told(traced, collector, trace_id)
    assert b"secret" not in span.SerializeToString()


def test_the_collector_is_told_who_sends_and_with_its_own_key(traced, collector):
    trace_id, headers = begin()
    traced.chat(headers=headers)
    told(traced, collector, trace_id)

    path, sent, _ = collector.requests[-1]
    assert (path, sent["x-api-key"]) == ("/v1/traces", "collectors")
    resource = collector.resource()
    assert resource["service.name"] == "pointsman"
    assert resource["service.instance.id"] == traced.settings.node
    assert resource["deployment.environment.name"] == "test"


@pytest.mark.parametrize("header", ["traceparent", "x-user-id"])
def test_a_header_that_is_not_text_takes_no_request_past_the_rules(traced, header):
    response = traced.chat(headers={header: b"\xff\xfe"})

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_json"
    assert traced.models["small"].requests() == []


def test_a_collector_that_dies_costs_its_spans_and_nothing_else(traced, collector):
    traced.until(lambda: traced.metric("pointsman_spans_total", result="sent") > 0, "a span")
    collector.stop()
    lost = traced.metric("pointsman_spans_total", result="lost")
    assert traced.chat().status_code == 200
    traced.until(
        lambda: traced.metric("pointsman_spans_total", result="lost") > lost, "a span that is lost"
    )
    traced.until(lambda: log(traced).count("spans_not_sent") == 1, "a warning")
    assert "opentelemetry" not in log(traced)

    collector.start()
    trace_id, headers = begin()
    assert traced.chat(headers=headers).status_code == 200
    told(traced, collector, trace_id)
    traced.until(lambda: "spans_sent" in log(traced), "a line that says that it is back")
