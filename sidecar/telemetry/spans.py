"""Outcomes and failed attempts → spans, by OpenTelemetry's conventions for generative AI.

A request's span is the gateway's: it is the child of the client's, and the parent of what the
backend makes, since its id went upstream. Each failed attempt is a child of it. What is in a span
is from the configuration and from Envoy; the provider's name of the model is the one other text.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from sidecar.model import (
    Backend,
    Endpoint,
    Sampling,
    TraceContext,
    read_traceparent,
    span_context,
)
from sidecar.telemetry.gen_ai import OPERATIONS, error_type
from sidecar.telemetry.metrics import result_of
from sidecar.telemetry.outcome import FailedAttempt, Outcome

Value = str | bool | int | float | Sequence[str]
_LONGEST = 4e9
_ID = re.compile(r"[0-9a-f]{28}")


class Event(NamedTuple):
    """Something that happened during a span. ``at_ns``: Unix time in nanoseconds."""

    name: str
    at_ns: int


class Span(NamedTuple):
    """A span that is over. Ids are hex digits, ``parent`` is empty for a trace's first span.

    ``failed``: the service failed, not whoever asked.
    """

    name: str
    kind: Literal["server", "client"]
    context: TraceContext
    parent: str
    state: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value]
    events: tuple[Event, ...] = ()
    failed: bool = False


class Spans:
    """Makes spans of what is sampled. ``backends``: those of the live rules."""

    def __init__(self, sampling: Sampling, backends: Callable[[], Mapping[str, Backend]]) -> None:
        self._sampling = sampling
        self._backends = backends

    def of_outcome(self, outcome: Outcome) -> Span | None:
        """Return the span of a request; ``None``: not sampled, or not to be decided."""
        if outcome.undecided:
            return None
        context, parent = trace_of(outcome, self._sampling)
        if not context.sampled:
            return None
        backend = self._backends().get(outcome.backend)
        attributes = _attributes(outcome, backend)
        operation = str(attributes.get("gen_ai.operation.name", "request"))
        start, end = _times(outcome.started, outcome.duration_s)
        return Span(
            name=operation if backend is None else f"{operation} {backend.model}",
            kind="server",
            context=context,
            parent=parent,
            state=outcome.traced.state if parent else "",
            start_ns=start,
            end_ns=end,
            attributes=attributes,
            events=_events(outcome, start),
            failed=outcome.failure is not None or outcome.status >= 500,
        )

    def of_attempt(self, attempt: FailedAttempt) -> Span | None:
        """Return the span of a failed attempt; its parent is the request's."""
        if attempt.undecided or attempt.traced is None:
            return None
        parent = read_traceparent(attempt.traced.header)
        if parent is None or not self._sampling.samples(parent.trace_id, parent):
            return None
        backend = self._backends().get(attempt.backend)
        attributes: dict[str, Value] = {
            "error.type": attempt.code,
            "pointsman.backend": attempt.backend,
        }
        if backend is not None:
            attributes |= _server(backend)
        if attempt.code.isdecimal():
            attributes["http.response.status_code"] = int(attempt.code)
        start, end = _times(attempt.traced.started, attempt.traced.duration_s)
        return Span(
            name=f"attempt {attempt.backend}",
            kind="client",
            context=TraceContext(parent.trace_id, _random_id(), sampled=True),
            parent=parent.span_id,
            state="",
            start_ns=start,
            end_ns=end,
            attributes=attributes,
            failed=attempt.blamed,
        )


def trace_of(outcome: Outcome, sampling: Sampling) -> tuple[TraceContext, str]:
    """Return the context of a request's span, and the id of the client's span or ``""``.

    The decision's own context went upstream, and is what counts. A request that was refused, or
    not decided in time, has none: its span continues the client's trace by itself.
    """
    traced = outcome.traced
    sent, identity = read_traceparent(traced.header), outcome.decision_id or traced.refused_id
    if not _ID.fullmatch(identity):
        identity = _random_id(28)
    if sent is not None and sent.span_id == identity[-16:]:
        sampled = sampling.samples(sent.trace_id, sent)
        return sent._replace(sampled=sampled), traced.parent
    context = span_context(identity, sent, sampling)
    return context, "" if sent is None else sent.span_id


def _attributes(outcome: Outcome, backend: Backend | None) -> dict[str, Value]:
    """Return the attributes that are known."""
    tokens = outcome.tokens
    found: dict[str, Any] = {
        "http.request.method": "POST",
        "http.response.status_code": outcome.status or None,
        "gen_ai.operation.name": OPERATIONS.get(outcome.operation),
        "gen_ai.response.model": tokens.model or None,
        "gen_ai.usage.input_tokens": tokens.input,
        "gen_ai.usage.output_tokens": tokens.output,
        "gen_ai.usage.cache_read.input_tokens": tokens.cached,
        "gen_ai.request.stream": outcome.stream or None,
        "gen_ai.response.time_to_first_chunk": outcome.ttft_s if outcome.stream else None,
        "error.type": outcome.error_code or error_type(outcome) or None,
        "pointsman.outcome": result_of(outcome),
        "pointsman.decision.id": outcome.decision_id or outcome.traced.refused_id or None,
        "pointsman.decision.duration": outcome.decision_s,
        "pointsman.route": outcome.route or None,
        "pointsman.strategy": outcome.strategy or None,
        "pointsman.backend": outcome.backend or None,
        "pointsman.attempts": outcome.attempts or None,
        "pointsman.config.version": outcome.version or None,
        "pointsman.warnings": outcome.warnings or None,
    }
    attributes: dict[str, Value] = {
        name: value for name, value in found.items() if value is not None
    }
    for one in outcome.assignments:
        attributes[f"pointsman.experiment.{one.experiment}"] = one.arm
    if backend is not None:
        attributes.update(_server(backend))
    return attributes


def _server(backend: Backend) -> Mapping[str, Value]:
    return _known(backend.provider, backend.model, backend.endpoints)


@lru_cache(maxsize=4096)
def _known(provider: str, model: str, endpoints: tuple[Endpoint, ...]) -> Mapping[str, Value]:
    """Return what is known of a backend. With several endpoints nobody says which one it was."""
    known: dict[str, Value] = {"gen_ai.provider.name": provider, "gen_ai.request.model": model}
    places = {_place(endpoint.url) for endpoint in endpoints}
    if len(places) == 1:
        known["server.address"], known["server.port"] = places.pop()
    return known


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _events(outcome: Outcome, start_ns: int) -> tuple[Event, ...]:
    """Return the moment at which a stream's first byte came from the backend."""
    after, ttft = outcome.traced.upstream_after_s, outcome.ttft_s
    if not outcome.stream or after is None or ttft is None or outcome.status >= 400:
        return ()
    return (Event("first_token", start_ns + _nanoseconds(after + ttft)),)


def _times(started: float, duration: float) -> tuple[int, int]:
    """Return start and end in nanoseconds, as a span can hold them."""
    start = _nanoseconds(started)
    return start, start + _nanoseconds(duration)


def _nanoseconds(seconds: float) -> int:
    return round(min(max(seconds, 0.0), _LONGEST) * 1e9)


def _random_id(digits: int = 16) -> str:
    return f"{random.getrandbits(4 * digits) or 1:0{digits}x}"
