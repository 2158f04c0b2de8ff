"""Server-pushed changes: Redis says which keys were written, the moment they are."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from redis.asyncio import Redis

from sidecar.config.redis_client import ANSWER_SECONDS, answering
from sidecar.errors import StoreUnreachable

IDLE_SECONDS = 2.0
"""Silence after which the connection is asked whether it still lives, and then how long to wait."""


class _Pushed(NamedTuple):
    keys: frozenset[str]


class Changes:
    """What was written since the last time somebody looked."""

    def __init__(self, connection: Any, every: frozenset[str], where: str) -> None:
        self._connection = connection
        self._every = every
        self._probe = min(every)
        self._where = where
        self._asked = False

    async def wait(self) -> frozenset[str]:
        """Return the keys that were written, as soon as there are any.

        Raises StoreUnreachable when the connection ends, or is silent and does not answer: a peer
        that vanished without a word would otherwise look like one without news.
        """
        changed: frozenset[str] = frozenset()
        while not changed:
            changed = await self._read()
        return changed | await self.arrived()

    async def arrived(self) -> frozenset[str]:
        """Return the keys of all changes that have arrived, without waiting for more."""
        changed: frozenset[str] = frozenset()
        while await self.pending():
            changed |= await self._read()
        return changed

    async def pending(self) -> bool:
        """Tell whether something has arrived that was not looked at."""
        async with answering(self._where):
            return bool(await self._connection.can_read())

    async def _read(self) -> frozenset[str]:
        async with answering(self._where, IDLE_SECONDS + ANSWER_SECONDS):
            reply = await self._connection.read_response(timeout=IDLE_SECONDS, push_request=True)
            if reply is None and self._asked:
                raise StoreUnreachable(f"{self._where}: no answer to EXISTS")
            if reply is None:
                # Not PING: a node that lost the key to another one of its Cluster says so.
                await self._connection.send_command("EXISTS", self._probe)
        self._asked = reply is None
        return reply.keys if isinstance(reply, _Pushed) else frozenset()

    async def take(self, message: Sequence[Any]) -> _Pushed:
        """Read an ``invalidate`` push; no keys at all mean that everything was flushed."""
        keys: Iterable[bytes] | None = message[1]
        if keys is None:
            return _Pushed(self._every)
        return _Pushed(frozenset(key.decode(errors="replace") for key in keys))


@asynccontextmanager
async def tracking(redis: Redis, keys: Sequence[str], where: str) -> AsyncIterator[Changes]:
    """Open a connection of its own, on which Redis announces each write to ``keys``.

    BCAST with prefixes: Redis need not remember what was read, and a write that happens between
    this and the first load is announced as well.
    """
    pool: Any = redis.connection_pool
    async with answering(where):
        connection = await pool.get_connection()
    try:
        changes = Changes(connection, frozenset(keys), where)
        # redis-py has no public way to hear of invalidations on the asyncio client.
        connection._parser.set_invalidation_push_handler(changes.take)  # noqa: SLF001
        prefixes = [word for key in keys for word in ("PREFIX", key)]
        async with answering(where):
            await connection.send_command("CLIENT", "TRACKING", "ON", "BCAST", *prefixes)
            await connection.read_response()
        yield changes
    finally:
        await connection.disconnect(nowait=True)
        await pool.release(connection)
