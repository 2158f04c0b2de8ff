"""Pins and counts, shared with all other workers through Redis, which no request waits for.

What changed is written in batches; pins that anybody writes are published to everybody, and totals
come back with what is added. Without Redis each worker goes on by itself, and what waits is
written when Redis is back.

| key below the prefix | |
|---|---|
| ``pin:<key>`` | text: the target; expires with the session |
| ``count:<key>`` | a number; expires with its first amount's seconds |
| ``pins`` | channel: JSON array of ``[key, target, milliseconds]`` for each pin that was written |
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog
from redis.asyncio import Redis

from sidecar.memory.counts import Counts, Told
from sidecar.memory.pins import MOST_PINS, Pins

INTERVAL = 0.1
"""Between two writes; what changes after a pause is written at once."""
PAUSE = 0.5
"""Before Redis is tried again."""
ANSWER = 1.0
"""Longest wait for an answer."""
IDLE = 2.0
"""Silence after which the subscription is asked whether it still lives. All in seconds."""
BATCH = 500
"""Keys in one call of a script, so that Redis is never busy with one for long."""

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
local answer = {}
for i, key in ipairs(KEYS) do
  local amount, milliseconds = tonumber(ARGV[i * 2 - 1]), ARGV[i * 2]
  local total = redis.pcall('GET', key)
  if amount ~= 0 and type(total) ~= 'table' then
    total = string.format('%.17g', (tonumber(total or '0') or 0) + amount)
    redis.call('SET', key, total, 'KEEPTTL')
    if redis.call('PTTL', key) == -1 then redis.call('PEXPIRE', key, milliseconds) end
  end
  answer[i * 2 - 1] = type(total) == 'string' and total or '0'
  answer[i * 2] = redis.call('PTTL', key)
end
return answer
"""
"""Add to counts; ARGV: for each key amount and milliseconds. Returns totals and what is left of
their lifetimes. Not by INCRBYFLOAT: called from a script it corrupts the heap of Redis 6.2, which
then crashes sooner or later (it gives its arguments one more place than the script's have)."""

_log = structlog.get_logger()


class Sharing:
    """Writes what waits in ``pins`` and ``counts``, and takes over what others write."""

    def __init__(self, redis: Redis, pins: Pins, counts: Counts, prefix: str) -> None:
        self.up = False
        """Whether the last exchange with Redis went well."""
        self.changed = asyncio.Event()
        """Set it when something waits."""
        self._redis, self._pins, self._counts = redis, pins, counts
        self._pin_prefix, self._count_prefix = f"{prefix}pin:", f"{prefix}count:"
        self._channel = f"{prefix}pins"
        self._keep_pins = redis.register_script(_KEEP_PINS)
        self._add_counts = redis.register_script(_ADD_COUNTS)

    async def run(self) -> None:
        """Share with the others until cancelled; call `flush` afterwards."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write())
            tasks.create_task(self._listen())

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
        self._pins.settle(dict(zip(writes, map(_text, stored), strict=True)))

    async def _write_counts(self) -> None:
        added = self._counts.take(BATCH)
        arguments = []
        for amount, seconds in added.values():
            arguments += [repr(amount), str(max(1, int(seconds * 1000)))]
        try:
            answer = await self._call(self._add_counts, self._count_prefix, added, arguments)
        except BaseException:
            self._counts.restore()
            raise
        totals = map(Told, map(_number, answer[::2]), [left / 1000 for left in answer[1::2]])
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

    async def _listen(self) -> None:
        while True:
            try:
                await self._follow()
            except Exception as error:  # noqa: BLE001 - as above
                self._set_up(up=False, error=error)
            await asyncio.sleep(PAUSE)

    async def _follow(self) -> None:
        """Take over pins: what is written from now on, and, once that is heard, what is there."""
        async with self._redis.pubsub() as subscription:
            async with asyncio.timeout(ANSWER):
                await subscription.subscribe(self._channel)
            silent = False
            while True:
                async with asyncio.timeout(IDLE + ANSWER):
                    message = await subscription.get_message(timeout=IDLE)
                if message is None and silent:
                    raise TimeoutError("no answer to PING")
                silent = message is None
                if message is None:
                    async with asyncio.timeout(ANSWER):
                        await subscription.ping()
                elif message["type"] == "message":
                    self._hear(message["data"])
                elif message["type"] == "subscribe":
                    await self._learn_all()
                    self._set_up(up=True)

    async def _learn_all(self) -> None:
        """Take over the pins that are stored, as many as are kept."""
        pattern, learnt = f"{_escaped(self._pin_prefix)}*", 0
        keys: list[bytes] = []
        async for key in self._redis.scan_iter(match=pattern, count=BATCH):
            keys.append(key)
            if len(keys) == BATCH:
                learnt, keys = learnt + len(keys), await self._learn(keys)
            if learnt >= MOST_PINS:
                return
        if keys:
            await self._learn(keys)

    async def _learn(self, keys: list[bytes]) -> list[bytes]:
        pipeline = self._redis.pipeline(transaction=False)
        for key in keys:
            pipeline.get(key)
            pipeline.pttl(key)
        async with asyncio.timeout(ANSWER):
            answers = await pipeline.execute(raise_on_error=False)
        for key, target, left in zip(keys, answers[::2], answers[1::2], strict=True):
            if isinstance(target, bytes) and isinstance(left, int):
                name = _text(key).removeprefix(self._pin_prefix)
                self._pins.learn(name, _text(target), left / 1000)
        return []

    def _hear(self, data: bytes) -> None:
        """Take over published pins; what is not ours to read is left alone."""
        try:
            news = [(str(k), str(t), float(ms)) for k, t, ms in json.loads(_text(data))]
        except (ValueError, TypeError, RecursionError):
            _log.debug("pins_ignored")
            return
        for key, target, milliseconds in news:
            self._pins.learn(key, target, milliseconds / 1000)

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


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _number(data: bytes) -> float:
    """Return a total; a key may hold what is not ours."""
    try:
        return float(data)
    except ValueError:
        return 0.0


def _escaped(prefix: str) -> str:
    """Return ``prefix`` as a pattern that matches only itself."""
    return "".join(f"\\{char}" if char in "*?[]\\" else char for char in prefix)
