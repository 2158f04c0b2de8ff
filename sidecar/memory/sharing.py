"""Pins and counts, shared with all other workers through Redis, which no request waits for.

What changed is written in batches; pins that anybody writes are published to everybody, and totals
come back with what is added. Without Redis each worker goes on by itself, and what waits is
written when Redis is back.

| key below the prefix | |
|---|---|
| ``pin:<key>`` | text: the target; expires with the session |
| ``count:<key>`` | a number; expires with its first amount's seconds |
| ``counts`` | channel: JSON array of ``[key, total, milliseconds]`` for budgets' counts that grew |
| ``pins`` | channel: JSON array of ``[key, target, milliseconds]`` for each pin that was written |
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog
from redis.asyncio import Redis

from sidecar.memory.counts import Counts, Told
from sidecar.memory.listening import ANSWER, BATCH, PAUSE, Listening, read_number, read_text
from sidecar.memory.pins import Pins
from sidecar.model import COUNT_KEYS, COUNTS_CHANNEL

INTERVAL = 0.1
"""Between two writes; what changes after a pause is written at once."""
_KEEP_PINS = """
local answer, news = {}, {}
for i, key in ipairs(KEYS) do
  local target, milliseconds, move = ARGV[i * 3], ARGV[i * 3 + 1], ARGV[i * 3 + 2]
  local stored = move == '0' and redis.pcall('GET', key)
  if type(stored) == 'string' then
    redis.call('PEXPIRE', key, milliseconds)
  else
    stored = target
    redis.call('SET', key, stored, 'PX', milliseconds)
  end
  answer[i] = stored
  news[i] = {string.sub(key, ARGV[2] + 1), stored, tonumber(milliseconds)}
end
redis.call('PUBLISH', ARGV[1], cjson.encode(news))
return answer
"""
"""Write pins and publish them; ARGV: channel, length of the keys' prefix, and for each key target,
milliseconds and whether it overwrites. Returns what is stored then."""

_ADD_COUNTS = """
local answer, news = {}, {}
local skipped = tonumber(ARGV[2])
for i, key in ipairs(KEYS) do
  local amount, milliseconds = tonumber(ARGV[i * 4 - 1]), ARGV[i * 4]
  local floor, left = tonumber(ARGV[i * 4 + 1]), ARGV[i * 4 + 2]
  local total = redis.pcall('GET', key)
  if type(total) ~= 'table' then
    local before = tonumber(total or '0') or 0
    local after = (floor > 0 and math.max(before, floor) or before) + amount
    if after ~= before or (amount ~= 0 and not total) then
      if before < floor and tonumber(left) > tonumber(milliseconds) then milliseconds = left end
      total = string.format('%.17g', after)
      redis.call('SET', key, total, 'KEEPTTL')
      if redis.call('PTTL', key) == -1 then redis.call('PEXPIRE', key, milliseconds) end
      local name = string.sub(key, skipped + 1)
      if string.sub(name, 1, 7) == 'budget:' then
        news[#news + 1] = {name, total, redis.call('PTTL', key)}
      end
    end
  end
  answer[i * 2 - 1] = type(total) == 'string' and total or '0'
  answer[i * 2] = redis.call('PTTL', key)
end
if #news > 0 then redis.call('PUBLISH', ARGV[1], cjson.encode(news)) end
return answer
"""
"""Add to counts, and publish those of budgets; ARGV: channel, length of the keys' prefix, and for
each key amount, milliseconds, and what the total is at least with the milliseconds that it has
left. Returns totals and what is left of their lifetimes. Not by INCRBYFLOAT: called from a script
it corrupts the heap of Redis 6.2, which then crashes sooner or later (it gives its arguments one
more place than the script's have)."""

_log = structlog.get_logger()


class Sharing:
    """Writes what waits in ``pins`` and ``counts``, and takes over what others write."""

    def __init__(self, redis: Redis, pins: Pins, counts: Counts, prefix: str) -> None:
        self.up = False
        """Whether the last exchange with Redis went well."""
        self.changed = asyncio.Event()
        """Set it when something waits."""
        self._redis, self._pins, self._counts = redis, pins, counts
        self._pin_prefix, self._count_prefix = f"{prefix}pin:", f"{prefix}{COUNT_KEYS}"
        self._channel, self._counts_channel = f"{prefix}pins", f"{prefix}{COUNTS_CHANNEL}"
        self._listening = Listening(redis, pins, counts, prefix, self._on_listening)
        self._keep_pins = redis.register_script(_KEEP_PINS)
        self._add_counts = redis.register_script(_ADD_COUNTS)

    async def run(self) -> None:
        """Share with the others until cancelled; call `flush` afterwards."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write())
            tasks.create_task(self._listening.run())

    async def learnt(self, seconds: float) -> bool:
        """Wait until what is stored is known, while `run` runs; tell whether it is."""
        try:
            async with asyncio.timeout(seconds):
                await self._listening.learnt.wait()
        except TimeoutError:
            return False
        return True

    async def flush(self) -> bool:
        """Write what waits, and tell whether that went well; only `run` may do so beside others."""
        try:
            while self._pins.waiting:
                await self._write_pins()
            while self._counts.waiting:
                await self._write_counts()
        except Exception as error:  # noqa: BLE001 - whatever a client raises: requests go on
            self._set_up(up=False, error=error)
            return False
        return True

    async def _write(self) -> None:
        while True:
            await self.changed.wait()
            self.changed.clear()
            if await self.flush():
                self._set_up(up=True)
                await asyncio.sleep(INTERVAL)
            else:
                self.changed.set()
                await asyncio.sleep(PAUSE)

    async def _write_pins(self) -> None:
        writes = self._pins.take(BATCH)
        arguments = [self._channel, str(len(self._pin_prefix.encode()))]
        for target, seconds, move in writes.values():
            arguments += [target, str(max(1, int(seconds * 1000))), str(int(move))]
        try:
            stored = await self._call(self._keep_pins, self._pin_prefix, writes, arguments)
        except BaseException:
            self._pins.restore()
            raise
        self._pins.settle(dict(zip(writes, map(read_text, stored), strict=True)))

    async def _write_counts(self) -> None:
        added = self._counts.take(BATCH)
        arguments = [self._counts_channel, str(len(self._count_prefix.encode()))]
        for key, (amount, seconds) in added.items():
            floor = self._counts.floor(key)
            arguments += [repr(amount), str(max(1, int(seconds * 1000)))]
            arguments += [repr(floor.total), str(int(floor.seconds * 1000))]
        try:
            answer = await self._call(self._add_counts, self._count_prefix, added, arguments)
        except BaseException:
            self._counts.restore()
            raise
        totals = map(Told, map(read_number, answer[::2]), [left / 1000 for left in answer[1::2]])
        self._counts.settle(dict(zip(added, totals, strict=True)))

    async def _call(
        self,
        script: Callable[..., Awaitable[Any]],
        prefix: str,
        keys: Iterable[str],
        arguments: Iterable[str],
    ) -> list[Any]:
        """Run a script. Text goes as bytes: what clients wrote need not be UTF-8."""
        async with asyncio.timeout(ANSWER):
            answer: list[Any] = await script(
                keys=[_bytes(prefix + key) for key in keys], args=[*map(_bytes, arguments)]
            )
        return answer

    def _on_listening(self, error: Exception | None) -> None:
        self._set_up(up=error is None, error=error)

    def _set_up(self, *, up: bool, error: Exception | None = None) -> None:
        if up and not self.up:
            _log.info("memory_shared")
        if self.up and not up:
            why = f"{type(error).__name__}: {error}"
            dropped = self._pins.dropped + self._counts.dropped
            _log.warning("memory_not_shared", why=why, dropped=dropped)
        self.up = up


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
