"""The log of decisions: a stream in Redis, ``{prefix}decisions``, capped by length and by age.

One entry per decided request that is over; its field ``d`` is an `Entry` as JSON. Readers pass over
other fields, and over entries without ``d``.
"""

from typing import Any

import msgspec

from sidecar.model.experiments import Assignment

FIELD = "d"


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of the request; absent is what is not known."""

    status: int = 0
    answered: bool = False
    """Whether a backend gave an answer that was not an error."""
    error: bool = False
    """Whether it failed, and not by the client's fault: what `error_rate` counts."""
    backend: str = ""
    """The backend of the last attempt."""
    attempts: int = 0
    latency_ms: float | None = None
    ttft_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One decided request. ``at``: Unix time in seconds when the request began."""

    id: str
    at: float
    node: str
    route: str = ""
    strategy: str = ""
    backends: tuple[str, ...] = ()
    """The plan: backends in the order in which they were to be tried."""
    probability: float | None = None
    """Of this plan, given the request; ``None`` when the log did not say."""
    version: int = 0
    """Of the configuration."""
    model: str = ""
    operation: str = ""
    assignments: tuple[Assignment, ...] = ()
    facts: dict[str, Any] = {}
    outcome: Result = Result()


_decoder = msgspec.json.Decoder(Entry)


def stream_key(prefix: str) -> str:
    """Return the key of the stream."""
    return f"{prefix}decisions"


def read_entry(text: bytes | str) -> Entry | None:
    """Return what field ``d`` holds; ``None`` when it is not an entry."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
