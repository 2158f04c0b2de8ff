"""Connections that go to the master, wherever it is at the moment.

One client for Sentinel and Cluster alike: all keys are in one slot, so what is needed of a Cluster
is the node that owns the slot, where scripts, MULTI, WATCH, Pub/Sub and tracking are the same as on
a single Redis. redis-py's RedisCluster has other pipelines, and no tracking.
"""

import time
from typing import Any

from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    ReadOnlyError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as NoConnection

from sidecar.config.masters import Address, Masters

NOT_HERE = (AskError, ClusterDownError, MasterDownError, ReadOnlyError, TryAgainError)
"""What a node answers that is not, not yet or no more the master of all keys. Nothing was done, and
whoever asked tries again later, as after any lost connection. MovedError is an AskError."""


class Following(Connection):
    """A connection to what ``masters`` finds, anew each time that it connects."""

    def __init__(self, *, masters: Masters, **options: Any) -> None:
        super().__init__(**options)
        self._masters = masters
        self._looked = 0.0

    async def connect(self) -> None:
        """Connect, and leave a node that is not the master any more. Called at each checkout."""
        if self.is_connected and await self._is_elsewhere():
            await self.disconnect(nowait=True)
        await super().connect()  # type: ignore[no-untyped-call]

    async def check_health(self) -> None:
        """Raise redis-py's ConnectionError when the master is elsewhere now.

        What was agreed on this connection (a watch, tracking) is lost, so its user has to know.
        """
        if await self._is_elsewhere():
            await self.disconnect(nowait=True)
            raise NoConnection("the master is another node now")

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Introduce the client, and let the node say that it is a master."""
        await super().on_connect_check_health(check_health=check_health)
        if self._masters.checks_role:
            await self.send_command("ROLE", check_health=False)
            role = (await self.read_response())[0]
            if role not in (b"master", "master"):
                self._masters.doubt()
                raise NoConnection(f"{self.host}:{self.port} is not a master (yet)")

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        """Return the next answer; one that sends us elsewhere ends the connection."""
        try:
            return await super().read_response(*arguments, **options)
        except NOT_HERE as error:
            self._masters.doubt(_address(error) if isinstance(error, MovedError) else None)
            await self.disconnect(nowait=True)
            raise NoConnection(f"{self.host}:{self.port}: {error}") from None

    async def _connect(self) -> None:
        self._looked = time.monotonic()
        self.host, self.port = await self._masters.find()
        await super()._connect()  # type: ignore[no-untyped-call]

    async def _is_elsewhere(self) -> bool:
        now = time.monotonic()
        due = now - self._looked > self._masters.look_seconds
        if not due and self._looked >= self._masters.doubted:
            return False
        self._looked = now
        try:
            return await self._masters.find() != (self.host, self.port)
        except NoConnection:
            return False  # nobody to ask: a master that answers is better than none


def _address(error: MovedError) -> Address:
    return Address(str(error.host), int(error.port))


class FollowingTls(Following, SSLConnection):
    """The same over TLS."""
