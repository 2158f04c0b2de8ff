"""Additions on their way to Redis: in batches, each applied once, however often it is sent.

A batch is a row of `Call`s, each a script on keys of its own. When the connection is lost, nobody
can tell whether a batch arrived, so it is sent again as it was, with the numbers that it had, and
the scripts pass over what they have seen: a key keeps, per node, the number of the last call that
was applied. While Redis is away the sources go on adding up, and what they keep is bounded.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import structlog

INTERVAL = 0.5
TIMEOUT = 5.0
"""Longest wait for Redis, in seconds."""
PATIENCE = 120
"""How often a call that Redis answers with an error is sent, before it is given up."""

_log = structlog.get_logger()


class Call(NamedTuple):
    """A script and what it is called with; ``done`` is told whether it was applied."""

    script: str
    keys: tuple[str, ...]
    arguments: Sequence[Any]
    done: Callable[[bool], None]


class Stamp(NamedTuple):
    """What makes a call known again: who sends it, since when, and a number that only rises.

    ``life`` is another one after each start, since the numbers start anew then.
    """

    node: str
    life: str
    number: int


class Source(Protocol):
    """Something that adds up between two flushes."""

    def take(self, stamp: Callable[[], Stamp]) -> list[Call]:
        """Hand over all that has come since the last time."""


class Pipelining(Protocol):
    """What is needed of redis.asyncio's clients, single or cluster."""

    def pipeline(self, transaction: bool = True) -> Any:
        """Return a pipeline."""


class Outbox:
    """Sends what the sources have, every `INTERVAL`. ``node`` must be different for each node."""

    def __init__(self, redis: Pipelining, node: str, sources: Sequence[Source]) -> None:
        self.up = False
        """Whether the last flush went well."""
        self._redis = redis
        self._sources = sources
        self._node, self._life, self._number = node, secrets.token_hex(4), 0
        self._unsent: list[Call] = []
        self._refusals = 0
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Flush until cancelled."""
        while True:
            await self.flush()
            await asyncio.sleep(INTERVAL)

    async def flush(self) -> None:
        """Send what is there. Nothing is raised; what fails is kept and sent again."""
        async with self._sending:
            if not self._unsent:
                self._unsent = [each for one in self._sources for each in one.take(self._stamp)]
            if not self._unsent:
                return
            try:
                async with asyncio.timeout(TIMEOUT):
                    answers = await self._send()
            except Exception as error:  # noqa: BLE001
                # Whatever a client raises: outcomes go on coming in, and must not be lost.
                self._set_up(up=False, why=repr(error))
                return
            self._settle(answers)

    async def _send(self) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for call in self._unsent:
            pipe.eval(call.script, len(call.keys), *call.keys, *call.arguments)
        answers: list[Any] = await pipe.execute(raise_on_error=False)
        return answers

    def _settle(self, answers: Sequence[Any]) -> None:
        refused, why = [], ""
        self._refusals += 1
        for call, answer in zip(self._unsent, answers, strict=True):
            if not isinstance(answer, Exception):
                call.done(True)
                continue
            why = repr(answer)
            # A key of another type stays one; the rest (out of memory, read only) may pass.
            if "WRONGTYPE" in str(answer) or self._refusals >= PATIENCE:
                call.done(False)
            else:
                refused.append(call)
        # Later calls wait: a key that has seen their numbers would pass over the earlier ones.
        self._unsent = refused
        if not refused:
            self._refusals = 0
        self._set_up(up=not why, why=why)

    def _stamp(self) -> Stamp:
        self._number += 1
        return Stamp(self._node, self._life, self._number)

    def _set_up(self, *, up: bool, why: str = "") -> None:
        if self.up and not up:
            _log.warning("outcomes_not_written", why=why)
        elif up and not self.up:
            _log.info("outcomes_written")
        self.up = up
