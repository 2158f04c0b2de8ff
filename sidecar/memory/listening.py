"""What others write of pins and of budgets' counts: all that is stored, then each change."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from redis.asyncio import Redis

from sidecar.memory.counts import MOST_KEYS, Counts
from sidecar.memory.pins import MOST_PINS, Pins
from sidecar.model import BUDGET_KEYS, COUNT_KEYS, COUNTS_CHANNEL

PAUSE = 0.5
"""Before Redis is tried again."""
ANSWER = 1.0
"""Longest wait for an answer."""
IDLE = 2.0
"""Silence after which the subscription is asked whether it still lives. All in seconds."""
BATCH = 500
"""Keys in one call of a script, so that Redis is never busy with one for long."""

_log = structlog.get_logger()


class Listening:
    """Takes over what others write. ``notify`` is told why it has failed, ``None``: it has not.

    Without ``pins`` only counts are followed.
    """

    def __init__(
        self,
        redis: Redis,
        pins: Pins | None,
        counts: Counts,
        prefix: str,
        notify: Callable[[Exception | None], None],
    ) -> None:
        self.learnt = asyncio.Event()
        """Set once all that is stored was taken over, for the first time."""
        self._redis, self._pins, self._counts = redis, pins, counts
        self._notify = notify
        self._pin_prefix, self._count_prefix = f"{prefix}pin:", f"{prefix}{COUNT_KEYS}"
        self._pin_channel, self._count_channel = f"{prefix}pins", f"{prefix}{COUNTS_CHANNEL}"

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._follow()
            except Exception as error:  # noqa: BLE001 - whatever a client raises: requests go on
                self._notify(error)
            await asyncio.sleep(PAUSE)

    async def _follow(self) -> None:
        """Take over what is written from now on, and, once that is heard, what is there."""
        channels = [self._count_channel, *([self._pin_channel] if self._pins else [])]
        heard = 0
        async with self._redis.pubsub() as subscription:
            async with asyncio.timeout(ANSWER):
                await subscription.subscribe(*channels)
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
                    self._hear(message["channel"], message["data"])
                elif message["type"] == "subscribe":
                    heard += 1
                    if heard == len(channels):
                        await self._learn_all()
                        self.learnt.set()
                        self._notify(None)

    async def _learn_all(self) -> None:
        """Take over what is stored, as much as is kept."""
        if self._pins is not None:
            async for key, value, left in self._stored(self._pin_prefix, "", MOST_PINS):
                self._pins.learn(key, read_text(value), left)
        async for key, value, left in self._stored(self._count_prefix, BUDGET_KEYS, MOST_KEYS):
            self._counts.learn(key, read_number(value), left)

    async def _stored(
        self, prefix: str, begin: str, most: int
    ) -> AsyncIterator[tuple[str, bytes, float]]:
        """Yield key, value and seconds left of what is stored below a prefix, at most ``most``."""
        pattern, read = f"{_escaped(prefix)}{begin}*", 0
        keys: list[bytes] = []
        async for key in self._redis.scan_iter(match=pattern, count=BATCH):
            keys.append(key)
            read += 1
            if len(keys) == BATCH:
                for one in await self._values(keys, prefix):
                    yield one
                keys = []
            if read >= most:
                break
        for one in await self._values(keys, prefix) if keys else ():
            yield one

    async def _values(self, keys: list[bytes], prefix: str) -> list[tuple[str, bytes, float]]:
        pipeline = self._redis.pipeline(transaction=False)
        for key in keys:
            pipeline.get(key)
            pipeline.pttl(key)
        async with asyncio.timeout(ANSWER):
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return [
            (read_text(key).removeprefix(prefix), value, left / 1000)
            for key, value, left in zip(keys, answers[::2], answers[1::2], strict=True)
            if isinstance(value, bytes) and isinstance(left, int)
        ]

    def _hear(self, channel: bytes, data: bytes) -> None:
        """Take over what was published; what is not ours to read is left alone."""
        try:
            news = [(str(key), value, float(ms)) for key, value, ms in json.loads(read_text(data))]
            if read_text(channel) == self._count_channel:
                for key, total, milliseconds in news:
                    self._counts.learn(key, float(total), milliseconds / 1000)
            elif self._pins is not None:
                for key, target, milliseconds in news:
                    self._pins.learn(key, str(target), milliseconds / 1000)
        except (ValueError, TypeError, RecursionError):
            _log.debug("news_ignored")


def read_text(data: bytes) -> str:
    """Return the text of a key or value; what clients wrote need not be UTF-8."""
    return data.decode("utf-8", "replace")


def read_number(data: bytes) -> float:
    """Return a total; a key may hold what is not ours."""
    try:
        return float(data)
    except ValueError:
        return 0.0


def _escaped(prefix: str) -> str:
    """Return ``prefix`` as a pattern that matches only itself."""
    return "".join(f"\\{char}" if char in "*?[]\\" else char for char in prefix)
