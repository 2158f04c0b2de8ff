"""`Retry-After` of an answer: seconds, or a date as HTTP writes it."""

from email.utils import parsedate_to_datetime

from sidecar.pb.access_log_entry_pb2 import HTTPAccessLogEntry
from sidecar.telemetry import traced as traces

_STATUSES = frozenset({429, 503})
_LONGEST = 9


def read_wait(entry: HTTPAccessLogEntry) -> float:
    """Return the seconds, from the end of an attempt on, that its answer asks for."""
    header = entry.response.response_headers.get("retry-after")
    if not header:
        return 0.0
    common = entry.common_properties
    ended = traces.started(common) + traces.duration(common.duration)
    return asked_to_wait(entry.response.response_code.value, header.decode("latin-1"), ended)


def asked_to_wait(status: int, header: str, now: float) -> float:
    """Return the seconds from ``now`` (Unix time) that an answer asks for; 0 when it does not."""
    text = header.strip()
    if status not in _STATUSES or not text:
        return 0.0
    if text.isascii() and text.isdecimal():
        return float(text) if len(text) <= _LONGEST else 0.0
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0
