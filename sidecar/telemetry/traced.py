"""What access log entries say for traces: contexts, and times that nothing else needs."""

from collections.abc import Mapping
from typing import NamedTuple

from google.protobuf.duration_pb2 import Duration

from sidecar.pb.access_log_entry_pb2 import AccessLogCommon, HTTPAccessLogEntry

_LONGEST_HEADER = 512


class Traced(NamedTuple):
    """What a request's trace is made from; ``""`` stands for "there was none"."""

    header: str = ""
    """`traceparent` as it went to the backends: the decision's, or else the client's."""
    state: str = ""
    """`tracestate`, which is always the client's."""
    parent: str = ""
    """The client's span, where ``header`` is the decision's."""
    refused_id: str = ""
    """The id that a client was told of a refusal, which is no decision."""
    upstream_after_s: float | None = None
    """From the client's first byte to the first one that was sent upstream in the last attempt."""


class TracedAttempt(NamedTuple):
    """The same for an attempt. ``started``: Unix time."""

    header: str
    started: float
    duration_s: float


def read_traced(entry: HTTPAccessLogEntry) -> Traced:
    """Read an entry of the log `requests`."""
    common, sent = entry.common_properties, entry.request.request_headers
    space = common.metadata.filter_metadata.get("pointsman.trace")
    parent = None if space is None else space.fields.get("parent")
    after = None
    if common.HasField("time_to_first_upstream_tx_byte"):
        after = duration(common.time_to_first_upstream_tx_byte)
    return Traced(
        _header(sent, "traceparent"),
        _header(sent, "tracestate"),
        "" if parent is None else parent.string_value,
        _header(entry.response.response_headers, "x-pointsman-decision"),
        after,
    )


def read_traced_attempt(entry: HTTPAccessLogEntry) -> TracedAttempt | None:
    """Read an entry of the log `attempts`; ``None`` when it belongs to no trace."""
    header = _header(entry.request.request_headers, "traceparent")
    if not header:
        return None
    common = entry.common_properties
    return TracedAttempt(header, started(common), duration(common.duration))


def last_attempt(entry: HTTPAccessLogEntry, upstream_s: float | None) -> TracedAttempt | None:
    """Return the last attempt of a request, which ended with it."""
    whole = read_traced_attempt(entry)
    if whole is None:
        return None
    spent = upstream_s or 0.0
    return TracedAttempt(whole.header, whole.started + whole.duration_s - spent, spent)


def started(common: AccessLogCommon) -> float:
    """Return when it began, Unix time in seconds."""
    return common.start_time.seconds + common.start_time.nanos * 1e-9


def duration(span: Duration) -> float:
    """Return seconds."""
    return span.seconds + span.nanos * 1e-9


def _header(headers: Mapping[str, bytes], name: str) -> str:
    """Return a header, cut where it is longer than any that is valid."""
    value = headers.get(name)
    return "" if value is None else value[:_LONGEST_HEADER].decode("latin-1")
