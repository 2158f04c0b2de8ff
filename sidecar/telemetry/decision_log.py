"""The log of decisions: a stream in Redis, ``{prefix}decisions``, capped by length and by age.

One entry per decided request that is over; its field ``d`` is an `Entry` as JSON. Readers pass over
other fields, and over entries without ``d``.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from sidecar.choose.experiment import PINNED
from sidecar.model import Assignment
from sidecar.telemetry.arm_sums import Values
from sidecar.telemetry.outbox import Call, Stamp
from sidecar.telemetry.outcome import Outcome, is_blamed

FIELD = "d"
MOST_WAITING = 50_000
"""Entries that wait for Redis, at most; then the oldest are dropped."""
_CHUNK = 500
"""Entries per call: Redis does nothing else meanwhile."""

_ADD = """
local before = redis.call('HGET', KEYS[2], ARGV[1])
local life, number = string.match(before or '', '^(.*):(%d+)$')
if life == ARGV[2] and tonumber(number) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ':' .. ARGV[3])
for i = 6, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', 'd', ARGV[i])
end
local oldest = redis.call('TIME')[1] * 1000 - ARGV[5]
redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%d', oldest))
redis.call('EXPIRE', KEYS[2], 86400)
return 1
"""


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
    """Of the backend of the last attempt, as its upstream knows it."""
    operation: str = ""
    assignments: tuple[Assignment, ...] = ()
    warnings: tuple[str, ...] = ()
    """Of the decision: codes, such as `variant_pinned` when the request named its arm itself."""
    facts: dict[str, Any] = {}
    outcome: Result = Result()

    @property
    def pinned(self) -> bool:
        """Whether the request named its arm: it says nothing about the experiment."""
        return PINNED in self.warnings


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


class DecisionLog:
    """A source of the outbox: keeps entries until it is asked.

    ``most``: how many the stream holds, about; 0 turns it off. ``hours``: how long. ``count``: is
    told (result, how many).
    """

    def __init__(
        self, prefix: str, node: str, most: int, hours: float, count: Callable[[str, int], None]
    ) -> None:
        self._keys = (stream_key(prefix), f"{stream_key(prefix)}:nodes")
        self._node = node
        self._most = most
        self._milliseconds = round(hours * 3_600_000)
        self._count = count
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)

    def add(self, outcome: Outcome, values: Values, model: str = "") -> None:
        """Take note of one decided request; ``model``: of the backend of the last attempt."""
        if not self._most:
            return
        if len(self._waiting) == MOST_WAITING:
            self._count("lost", 1)
        self._waiting.append(_encoder.encode(entry(outcome, values, self._node, model)))

    def take(self, stamp: Callable[[], Stamp]) -> list[Call]:
        """Hand over the entries in chunks."""
        texts = list(self._waiting)
        self._waiting.clear()
        chunks = [texts[start : start + _CHUNK] for start in range(0, len(texts), _CHUNK)]
        return [self._call(chunk, stamp()) for chunk in chunks]

    def _call(self, chunk: list[bytes], stamp: Stamp) -> Call:
        def done(kept: bool) -> None:
            self._count("kept" if kept else "lost", len(chunk))

        return Call(_ADD, self._keys, [*stamp, self._most, self._milliseconds, *chunk], done)


_encoder = msgspec.json.Encoder()


def entry(outcome: Outcome, values: Values, node: str, model: str = "") -> Entry:
    """Return the entry of an outcome."""
    figures, tokens = values.metrics, outcome.tokens
    return Entry(
        id=outcome.decision_id,
        at=outcome.started,
        node=node,
        route=outcome.route,
        strategy=outcome.strategy,
        backends=outcome.plan,
        probability=outcome.probability,
        version=outcome.version,
        model=model,
        operation=outcome.operation,
        assignments=outcome.assignments,
        warnings=outcome.warnings,
        outcome=Result(
            status=outcome.status,
            answered=outcome.answered,
            error=is_blamed(outcome),
            backend=outcome.backend,
            attempts=outcome.attempts,
            latency_ms=figures.get("latency_ms"),
            ttft_ms=figures.get("ttft_ms"),
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            cost_usd=figures.get("cost_usd"),
        ),
    )
