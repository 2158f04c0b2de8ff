"""W3C trace context, and which requests are traced.

A decision's id has both ids of its span: the span's is its seed, and a trace that begins here has
the whole decision's id, so that one finds the other and nothing has to be passed on between
the worker that sends the context upstream and control, which tells the collector of the span.
"""

import re
from typing import NamedTuple

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NONE = frozenset(("0" * 32, "0" * 16))
_SPAN_DIGITS = 16


class TraceContext(NamedTuple):
    """A span of a trace: 32 and 16 hex digits, and whether it is recorded."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def header(self) -> str:
        """The header `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def read_traceparent(header: str) -> TraceContext | None:
    """Return what `traceparent` says; ``None`` when there is none, or it is not valid."""
    if len(header) < 55:
        return None
    found = _TRACEPARENT.fullmatch(header)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if trace_id in _NONE or span_id in _NONE:
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & 1))


class Sampling(NamedTuple):
    """Which traces are recorded: of those that begin here the share ``ratio``, 0 to 1.

    ``follow``: those of clients as they say; else the share holds for them too. It is drawn by the
    trace's id, as all of OpenTelemetry does, so that every service draws the same.
    """

    ratio: float = 1.0
    follow: bool = True

    def samples(self, trace_id: str, parent: TraceContext | None) -> bool:
        """Return whether a request is recorded; ``parent``: the client's context, if any."""
        if parent is not None and self.follow:
            return parent.sampled
        return int(trace_id[16:], 16) < round(self.ratio * 2**64)


def span_context(decision_id: str, parent: TraceContext | None, sampling: Sampling) -> TraceContext:
    """Return the context of a decision's span: a child of ``parent``, or a trace's first."""
    trace_id = parent.trace_id if parent is not None else f"{decision_id:0>32}"
    span_id = decision_id[-_SPAN_DIGITS:]
    return TraceContext(trace_id, span_id, sampling.samples(trace_id, parent))
