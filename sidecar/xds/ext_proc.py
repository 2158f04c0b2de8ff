"""The filter that asks a worker for the decision, published over ECDS."""

from collections.abc import Iterable
from typing import Any

from sidecar.model import Guard
from sidecar.xds.resources import EXT_PROC, seconds, typed

MESSAGE = "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor"

EXPLAIN_HEADER = "x-pointsman-explain"
EXPLAIN_NAMESPACE = "pointsman.explain"
_WHO_ASKS = (EXPLAIN_HEADER, "authorization", "x-api-key", "api-key")
"""Headers that tell whether somebody asks for an explanation, and may."""

TRACEPARENT = "traceparent"
TRACE_NAMESPACE = "pointsman.trace"
"""Where a worker puts the trace context for the backend, when requests are traced."""

DECISION_NAMESPACES = (
    "pointsman.route",
    "pointsman.patch",
    "pointsman.decision",
    "pointsman.budgets",
)
"""Dynamic metadata that a worker may write; everything else in its answer is dropped."""


DECISION_SECONDS = 0.5
"""How long Envoy waits for a decision that asks no guard."""


def decision_seconds(guards: Iterable[Guard]) -> float:
    """Return how long Envoy has to wait for a decision that may ask each of the guards in turn.

    Without an answer in time the request goes on undecided, past every guard.
    """
    return DECISION_SECONDS + sum(guard.timeout_seconds for guard in guards)


def attribute(header: str) -> str:
    """Return the CEL expression of a request header, which is also its key in the message."""
    quoted = header.lower().replace("\\", "\\\\").replace("'", "\\'")
    return f"request.headers['{quoted}']"


def external_processor(
    headers: Iterable[str],
    decision_seconds: float = DECISION_SECONDS,
    *,
    explain: bool = False,
    trace: bool = False,
) -> dict[str, Any]:
    """Return the filter's config: one message with the whole body, path and ``headers``.

    After ``decision_seconds``, and whenever the worker fails, the request goes on without a
    decision (to the default chain). ``explain``: clients may ask why, so who asks is told too.
    ``trace``: requests are traced, so the worker gets the client's trace context and continues it.
    """
    more = (*(_WHO_ASKS if explain else ()), *((TRACEPARENT,) if trace else ()))
    names = dict.fromkeys((*headers, *more))
    source = ["source.address"] if explain else []
    namespaces = [*DECISION_NAMESPACES]
    namespaces += [EXPLAIN_NAMESPACE] if explain else []
    namespaces += [TRACE_NAMESPACE] if trace else []
    return typed(
        MESSAGE,
        grpc_service={"envoy_grpc": {"cluster_name": EXT_PROC}},
        failure_mode_allow=True,
        message_timeout=seconds(decision_seconds),
        processing_mode={
            "request_header_mode": "SKIP",
            "request_body_mode": "BUFFERED",
            "request_trailer_mode": "SKIP",
            "response_header_mode": "SKIP",
            "response_body_mode": "NONE",
            "response_trailer_mode": "SKIP",
        },
        request_attributes=["request.path", *source, *map(attribute, names)],
        metadata_options={"receiving_namespaces": {"untyped": namespaces}},
    )


def filter_resource(
    headers: Iterable[str],
    decision_seconds: float = DECISION_SECONDS,
    *,
    explain: bool = False,
    trace: bool = False,
) -> dict[str, Any]:
    """Return the ECDS resource; its name is the filter's name in the listener."""
    return typed(
        "envoy.config.core.v3.TypedExtensionConfig",
        name=EXT_PROC,
        typed_config=external_processor(headers, decision_seconds, explain=explain, trace=trace),
    )
