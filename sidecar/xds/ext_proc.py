"""The filter that asks a worker for the decision, published over ECDS."""

from collections.abc import Iterable
from typing import Any

from sidecar.xds.resources import EXT_PROC, typed

MESSAGE = "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor"

DECISION_NAMESPACES = ("pointsman.route", "pointsman.patch", "pointsman.decision")
"""Dynamic metadata that a worker may write; everything else in its answer is dropped."""


def attribute(header: str) -> str:
    """Return the CEL expression of a request header, which is also its key in the message."""
    quoted = header.lower().replace("\\", "\\\\").replace("'", "\\'")
    return f"request.headers['{quoted}']"


def external_processor(headers: Iterable[str]) -> dict[str, Any]:
    """Return the filter's config: one message with the whole body, path and ``headers``.

    The decision is waited for half a second; then, and whenever the worker fails, the request
    goes on without one (to the default chain).
    """
    return typed(
        MESSAGE,
        grpc_service={"envoy_grpc": {"cluster_name": EXT_PROC}},
        failure_mode_allow=True,
        message_timeout="0.5s",
        processing_mode={
            "request_header_mode": "SKIP",
            "request_body_mode": "BUFFERED",
            "request_trailer_mode": "SKIP",
            "response_header_mode": "SKIP",
            "response_body_mode": "NONE",
            "response_trailer_mode": "SKIP",
        },
        request_attributes=["request.path", *map(attribute, headers)],
        metadata_options={"receiving_namespaces": {"untyped": list(DECISION_NAMESPACES)}},
    )


def filter_resource(headers: Iterable[str]) -> dict[str, Any]:
    """Return the ECDS resource; its name is the filter's name in the listener."""
    return typed(
        "envoy.config.core.v3.TypedExtensionConfig",
        name=EXT_PROC,
        typed_config=external_processor(headers),
    )
