"""Which decisions feedback may be about: id → backend and arms, in Redis, bounded in size and age.

Decisions are kept in one hash per 10 seconds, ``{prefix}decided:{pool}:{number}``, since hashes of
up to 512 short fields are compact. The sorted set ``{prefix}decided:{pool}`` has their numbers and
``{prefix}decided:{pool}:sizes`` how many are in each; the oldest hashes go when it gets too many.

Decisions with arms have a pool of their own, so that traffic outside of experiments cannot push
them out.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from sidecar.model import Assignment
from sidecar.telemetry.arm_sums import was_served
from sidecar.telemetry.outbox import Call, Stamp
from sidecar.telemetry.outcome import Outcome

ASSIGNED, OTHERS = "arms", "rest"
_SPAN = 10
_TIME_DIGITS = 12
_MOST_WAITING = 50_000
_CHUNK = 1000

_ADD = """
local pool, sizes, most, life = KEYS[1], KEYS[2], tonumber(ARGV[1]), ARGV[3]
local oldest = math.floor((redis.call('TIME')[1] - ARGV[2]) / 10)
for i = 4, #ARGV, 3 do
  local shard = pool .. ':' .. ARGV[i]
  if redis.call('HSET', shard, ARGV[i + 1], ARGV[i + 2]) == 1 then
    redis.call('HINCRBY', sizes, 'all', 1)
    if redis.call('HINCRBY', sizes, ARGV[i], 1) == 1 then
      redis.call('ZADD', pool, ARGV[i], ARGV[i])
      redis.call('EXPIRE', shard, life)
    end
  end
end
local all = tonumber(redis.call('HGET', sizes, 'all') or '0')
while true do
  local first = redis.call('ZRANGE', pool, 0, 0)[1]
  if not first or (all <= most and tonumber(first) >= oldest) then break end
  all = redis.call('HINCRBY', sizes, 'all', -(redis.call('HGET', sizes, first) or 0))
  redis.call('HDEL', sizes, first)
  redis.call('ZREM', pool, first)
  redis.call('UNLINK', pool .. ':' .. first)
end
redis.call('EXPIRE', pool, life)
redis.call('EXPIRE', sizes, life)
return all
"""
"""Keep, and drop what is too old, by the clock of Redis, or too much. Twice is as once."""


class Known(NamedTuple):
    """A decision that feedback may be about. Units are cut to what tells their part."""

    backend: str
    served: bool
    """Whether the plan's own first backend gave the answer."""
    assignments: tuple[Assignment, ...]


class Reading(Protocol):
    """What is needed of redis.asyncio's clients to find a decision."""

    def hget(self, name: str, key: str, /) -> Awaitable[Any]:
        """Return one field of a hash."""


def decided_at(identity: str) -> float:
    """Return when the decision was made: Unix time in seconds, to the millisecond."""
    return int(identity[:_TIME_DIGITS], 16) / 1000


class DecisionIndex:
    """A source of the outbox. ``most``: decisions that are kept per pool; ``hours``: how long."""

    def __init__(self, prefix: str, most: dict[str, int], hours: float) -> None:
        self.prefix = prefix
        self.seconds = hours * 3600
        self._most = most
        self._waiting: dict[str, dict[str, bytes]] = {ASSIGNED: {}, OTHERS: {}}

    def add(self, outcome: Outcome) -> None:
        """Keep one decided request."""
        pool = ASSIGNED if outcome.assignments else OTHERS
        waiting = self._waiting[pool]
        if self._most[pool] and len(waiting) < _MOST_WAITING and outcome.decision_id:
            waiting[outcome.decision_id] = _encode(outcome)

    def take(self, _stamp: Callable[[], Stamp]) -> list[Call]:
        """Hand over what waits, in chunks."""
        calls: list[Call] = []
        for pool, waiting in self._waiting.items():
            pairs = list(waiting.items())
            waiting.clear()
            chunks = (pairs[at : at + _CHUNK] for at in range(0, len(pairs), _CHUNK))
            calls.extend(self._call(pool, chunk) for chunk in chunks)
        return calls

    async def find(self, redis: Reading, identity: str) -> Known | None:
        """Return what is known of a decision of any node. Raises what the client raises."""
        shard, field = _place(identity)
        for pool in (ASSIGNED, OTHERS):
            text = await redis.hget(f"{self.prefix}decided:{pool}:{shard}", field)
            if text is not None:
                return _decode(text)
        return None

    def _call(self, pool: str, pairs: list[tuple[str, bytes]]) -> Call:
        key = f"{self.prefix}decided:{pool}"
        life = int(self.seconds) + 86400
        flat = [part for identity, text in pairs for part in (*_place(identity), text)]
        arguments = [self._most[pool], int(self.seconds), life, *flat]
        return Call(_ADD, (key, f"{key}:sizes"), arguments, lambda _kept: None)


def _place(identity: str) -> tuple[int, str]:
    return int(decided_at(identity)) // _SPAN, identity[_TIME_DIGITS:]


def _encode(outcome: Outcome) -> bytes:
    """Encode briefly: Redis keeps values of up to 64 bytes in a compact form."""
    arms = [_brief(assignment) for assignment in outcome.assignments]
    return msgspec.json.encode([outcome.backend, int(was_served(outcome)), *arms])


def _brief(assignment: Assignment) -> tuple[Any, ...]:
    brief = assignment._replace(
        propensity=float(f"{assignment.propensity:.4g}"), unit=assignment.unit[-2:]
    )
    if brief.missed:
        return brief
    return brief[:-1] if brief.bucket else brief[:-2]


def _decode(text: bytes | str) -> Known | None:
    try:
        backend, served, *arms = msgspec.json.decode(text)
        assignments = msgspec.convert(arms, tuple[Assignment, ...])
        return Known(msgspec.convert(backend, str), bool(served), assignments)
    except (msgspec.MsgspecError, ValueError, TypeError):
        return None
