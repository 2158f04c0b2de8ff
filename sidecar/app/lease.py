"""A lease in Redis: of all nodes at most one acts."""

import time
from collections.abc import Callable
from typing import Any, Protocol

_HOLD = """
local time = redis.call('TIME')
local now = string.format('%d.%06d', time[1], time[2])
local held = redis.call('GET', KEYS[1])
if not held then
  held = ARGV[1] .. ' ' .. redis.call('INCR', KEYS[2])
  redis.call('SET', KEYS[1], held, 'PX', ARGV[3])
elseif held == ARGV[2] then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
else
  held = ''
end
return {now, held}
"""
"""Take what nobody has, keep what is mine; return the time, and the value if it is mine now."""

_WRITE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return 1
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class Scripting(Protocol):
    """What is needed of redis.asyncio's clients."""

    def register_script(self, script: str, /) -> Any:
        """Return a callable that runs ``script`` by its hash."""


class Lease:
    """Held for ``seconds`` after each `hold`; lost when that is not called again in time.

    The value is ``<node> <number>``. The number rises each time that somebody takes the lease, so
    a node that was away for longer, and does not know it yet, is told from the one that took over.
    """

    def __init__(
        self,
        redis: Scripting,
        key: str,
        node: str,
        *,
        seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = key
        self._node = node
        self._seconds = seconds
        self._clock = clock
        self._mine = ""
        self._until = 0.0
        self._hold = redis.register_script(_HOLD)
        self._write = redis.register_script(_WRITE)
        self._release = redis.register_script(_RELEASE)

    @property
    def held(self) -> bool:
        """Whether this node may act now, by its own clock, which started before that of Redis."""
        return self._clock() < self._until

    async def hold(self) -> float | None:
        """Take or keep the lease; return the time by Redis, or ``None`` when another node has it.

        Raises what the client raises; a lease that was held lasts until its time is over.
        """
        asked = self._clock()
        answer = await self._hold(
            keys=[self._key, f"{self._key}:number"],
            args=[self._node, self._mine, round(self._seconds * 1000)],
        )
        now, self._mine = (_text(part) for part in answer)
        if not self._mine:
            self._until = 0.0
            return None
        self._until = asked + self._seconds
        return float(now)

    async def write(self, key: str, value: bytes, seconds: int) -> bool:
        """Write ``value`` for so many seconds if the lease is still this one's."""
        return bool(await self._write(keys=[self._key, key], args=[self._mine, value, seconds]))

    async def release(self) -> None:
        """Give it back, so that another node need not wait until it is over."""
        self._until = 0.0
        if self._mine:
            await self._release(keys=[self._key], args=[self._mine])


def _text(answer: bytes | str) -> str:
    """Return text, whether the client decodes answers or not."""
    return answer.decode() if isinstance(answer, bytes) else answer
