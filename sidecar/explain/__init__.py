"""Why a request went where it went: decisions kept, made again, and explained."""

from sidecar.explain.explaining import encode, explain, explain_record, refused, summary
from sidecar.explain.explanation import Explanation
from sidecar.explain.record import LONGEST_BODY, Record, Records, replay

__all__ = [
    "LONGEST_BODY",
    "Explanation",
    "Record",
    "Records",
    "encode",
    "explain",
    "explain_record",
    "refused",
    "replay",
    "summary",
]
