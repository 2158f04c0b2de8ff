"""Traces: on when OpenTelemetry's own variables name a collector."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Self

import structlog
from prometheus_client import CollectorRegistry

from sidecar import __version__
from sidecar.app.sampling import ENDPOINTS, sampling
from sidecar.errors import SettingsError
from sidecar.model import Backend, Snapshot, read_traceparent
from sidecar.telemetry.gauges import SpanCollector
from sidecar.telemetry.gen_ai import error_type
from sidecar.telemetry.outcome import FailedAttempt, Outcome
from sidecar.telemetry.spans import Spans

if TYPE_CHECKING:
    from sidecar.telemetry.otlp import SpanSender

_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_QUEUE = "OTEL_BSP_MAX_QUEUE_SIZE"
_log = structlog.get_logger()


class Tracing:
    """Listens to outcomes and failed attempts: spans of them, and lines of the log."""

    def __init__(self, spans: Spans | None = None, sender: "SpanSender | None" = None) -> None:
        self._spans = spans
        self._sender = sender

    @classmethod
    def open(
        cls,
        environ: Mapping[str, str],
        node: str,
        snapshot: Callable[[], Snapshot | None],
        registry: CollectorRegistry,
    ) -> Self:
        """Return one that sends what ``environ`` says is to be sent; ``snapshot``: the live rules.

        Raises SettingsError when a variable is wrong, or the extra `traces` is not installed.
        """
        chosen = sampling(environ)

        def backends() -> Mapping[str, Backend]:
            live = snapshot()
            return {} if live is None else live.backends

        opened = cls()
        if chosen is not None:
            opened = cls(Spans(chosen, backends), _sender(environ, node))
        registry.register(SpanCollector(opened.counts))
        return opened

    def outcome(self, outcome: Outcome) -> None:
        """Take what came of one request."""
        if outcome.failed and not outcome.undecided:
            _tell(outcome)
        if self._spans is None or self._sender is None:
            return
        span = self._spans.of_outcome(outcome)
        if span is not None:
            self._sender.send(span)

    def attempt(self, attempt: FailedAttempt) -> None:
        """Take a failed attempt."""
        if self._spans is None or self._sender is None:
            return
        span = self._spans.of_attempt(attempt)
        if span is not None:
            self._sender.send(span)

    def counts(self) -> Mapping[str, int]:
        """Return how many spans were sent, and how many lost."""
        return {"sent": 0, "lost": 0} if self._sender is None else self._sender.counts()

    def close(self) -> None:
        """Send what waits; blocks for two seconds at most."""
        if self._sender is not None:
            self._sender.close()


def _tell(outcome: Outcome) -> None:
    """Tell the log of a request that did not go well; as there may be many, at its lowest level."""
    context = read_traceparent(outcome.traced.header)
    _log.debug(
        "client_got_error",
        decision=outcome.decision_id or outcome.traced.refused_id or None,
        trace_id=None if context is None else context.trace_id,
        route=outcome.route or None,
        backend=outcome.backend or None,
        status=outcome.status,
        error=outcome.error_code or error_type(outcome),
    )


def _sender(environ: Mapping[str, str], node: str) -> "SpanSender":
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise SettingsError(f"{_PROTOCOLS[1]}={protocol!r}; legal: http/protobuf")
    try:
        from sidecar.telemetry.otlp import SpanSender  # noqa: PLC0415 - only where it is needed
    except ImportError as error:
        raise SettingsError(
            f"{' or '.join(ENDPOINTS)} is set, and traces need {error.name}, which is not "
            "installed: pip install 'pointsman[traces]'"
        ) from None
    attributes = {
        "service.name": "pointsman",
        "service.version": __version__,
        "service.instance.id": node,
    }
    try:
        return SpanSender(attributes, __version__, int(environ.get(_QUEUE) or 2048))
    except ValueError as error:
        raise SettingsError(f"OTEL_EXPORTER_OTLP_…, OTEL_BSP_…: {error}") from None
