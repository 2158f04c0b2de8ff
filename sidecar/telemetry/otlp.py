"""Spans to a collector, over OTLP/HTTP, by a thread of its own.

Imported only where traces are on: it needs the extra `traces`. All that OpenTelemetry's own
variables say about the exporter (endpoint, headers, TLS, compression, timeouts, batches) holds.
"""

import logging
import threading
import time
from collections.abc import Sequence

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from sidecar.telemetry.spans import Span

QUIET_SECONDS = 60.0
"""Between two warnings that spans are lost."""
CLOSE_SECONDS = 2.0
_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_OK, _FAILED = Status(StatusCode.UNSET), Status(StatusCode.ERROR)
_log = structlog.get_logger()


class SpanSender:
    """Sends spans in batches, and counts them.

    At most ``most_waiting`` are kept; further ones are dropped.
    ``attributes``: of this process, where `OTEL_RESOURCE_ATTRIBUTES` does not say otherwise.
    Raises ValueError when a variable of OpenTelemetry's is wrong.
    """

    def __init__(self, attributes: dict[str, str], version: str, most_waiting: int = 2048) -> None:
        # What the library says of each failed attempt to send, `_Counting` sums up.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        self._resource = Resource.create(attributes | _environment())
        self._scope = InstrumentationScope("pointsman", version)
        self._most = most_waiting
        self._offered = 0
        self._dropped = 0
        self._exporter = _Counting(OTLPSpanExporter())
        self._batches = BatchSpanProcessor(self._exporter, max_queue_size=most_waiting)

    def send(self, span: Span) -> None:
        """Send ``span`` some time later. Never waits, never raises."""
        if self._offered - self._exporter.taken >= self._most:
            self._dropped += 1
            return
        self._offered += 1
        self._batches.on_end(_readable(span, self._resource, self._scope))

    def counts(self) -> dict[str, int]:
        """Return how many spans the collector has taken, and how many were lost."""
        return {"sent": self._exporter.sent, "lost": self._exporter.lost + self._dropped}

    def close(self) -> None:
        """Send what waits, for at most CLOSE_SECONDS. Blocks for so long."""
        closing = threading.Thread(target=self._batches.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


class _Counting(SpanExporter):
    """Counts what a collector takes, and tells the log when it does not, but not of each batch."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.taken = self.sent = self.lost = 0
        self._exporter = exporter
        self._up = True
        self._quiet_until = 0.0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; returns only when it is sent or lost."""
        self.taken += len(spans)
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001 - whatever the client raises, the next batch is tried
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self.sent += len(spans)
        else:
            self.lost += len(spans)
        self._tell(up=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """End; what is being sent again is given up."""
        self._exporter.shutdown()

    def _tell(self, *, up: bool) -> None:
        if up and not self._up:
            _log.info("spans_sent", lost=self.lost)
            self._quiet_until = 0.0
        elif not up and time.monotonic() >= self._quiet_until:
            _log.warning("spans_not_sent", lost=self.lost)
            self._quiet_until = time.monotonic() + QUIET_SECONDS
        self._up = up


def _environment() -> dict[str, str]:
    """Return the attributes that OpenTelemetry's variables give to this process."""
    given = OTELResourceDetector().detect().attributes
    return {name: str(value) for name, value in given.items()}


def _readable(span: Span, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    trace_id, span_id, _ = span.context
    state = TraceState.from_header([span.state]) if span.state else None
    trace = int(trace_id, 16)
    parent = None
    if span.parent:
        parent = SpanContext(trace, int(span.parent, 16), is_remote=span.kind == "server")
    return ReadableSpan(
        span.name,
        SpanContext(
            trace, int(span_id, 16), is_remote=False, trace_flags=_SAMPLED, trace_state=state
        ),
        parent,
        resource,
        span.attributes,
        [Event(event.name, timestamp=event.at_ns) for event in span.events],
        kind=_KINDS[span.kind],
        status=_FAILED if span.failed else _OK,
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=scope,
    )
