"""Where the master is: of a name that Sentinels watch, or of a slot of a Redis Cluster."""

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError

ASK_SECONDS = 0.5
"""Longest wait for one node: the next one may know as well."""
LOOK_SECONDS = 2.0
"""A master that Sentinels have replaced may go on answering: how often to ask whether it is one."""


class Address(NamedTuple):
    """Where a node listens."""

    host: str
    port: int


class Masters(ABC):
    """Finds the master by asking ``nodes``, the one that knew last first.

    ``options`` are redis-py's, for the connections to those nodes. Each question has a connection
    of its own: there are few, and none is left open.
    """

    look_seconds: float = math.inf
    """After so long a connection has to be looked at, even if nothing speaks against it."""
    checks_role = False
    """Whether what was found has to say itself that it is a master."""

    def __init__(self, nodes: Sequence[Address], options: Mapping[str, Any], *, tls: bool) -> None:
        self.doubted = -math.inf
        """When somebody was last sent away by what was the master (monotonic seconds)."""
        self._nodes = [*nodes]
        self._options = options
        self._link = SSLConnection if tls else Connection

    async def find(self) -> Address:
        """Return where the master is. Raises redis-py's ConnectionError when nobody knows."""
        why = "no node is known"
        for node in tuple(self._nodes):
            try:
                found = self._read(await self._ask(node), node)
            except (RedisError, OSError, TimeoutError) as error:
                why = f"{node.host}:{node.port}: {str(error) or type(error).__name__}"
                continue
            if found is not None:
                self._prefer(node)
                return found
            why = f"{node.host}:{node.port} knows none"
        raise NoConnection(f"no master found; {why}")

    def doubt(self, instead: Address | None = None) -> None:
        """Look again; ``instead``: who said to know better."""
        self.doubted = time.monotonic()
        if instead is not None:
            self._prefer(instead)
        elif self._nodes:
            self._nodes.append(self._nodes.pop(0))

    def _prefer(self, node: Address) -> None:
        self._nodes = [node, *(other for other in self._nodes if other != node)]

    async def _ask(self, node: Address) -> Any:
        link = self._link(host=node.host, port=node.port, **self._options)
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await link.connect()  # type: ignore[no-untyped-call]
                await link.send_command(*self._question())
                return await link.read_response()
        finally:
            await link.disconnect(nowait=True)

    @abstractmethod
    def _question(self) -> Sequence[str]:
        """Return the command."""

    @abstractmethod
    def _read(self, answer: Any, node: Address) -> Address | None:
        """Return where the master is by the answer of ``node``; ``None``: it does not know."""


class SentinelMasters(Masters):
    """The master that Sentinels, ``nodes``, know under ``name``."""

    look_seconds = LOOK_SECONDS
    checks_role = True

    def __init__(
        self, nodes: Sequence[Address], name: str, options: Mapping[str, Any], *, tls: bool
    ) -> None:
        super().__init__(nodes, options, tls=tls)
        self._name = name

    def _question(self) -> Sequence[str]:
        return "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name

    def _read(self, answer: Any, _node: Address) -> Address | None:
        return None if answer is None else Address(_text(answer[0]), int(answer[1]))


class SlotMasters(Masters):
    """The owner of a slot of a Redis Cluster; ``nodes`` are some of it, the others are learnt."""

    def __init__(
        self, nodes: Sequence[Address], slot: int, options: Mapping[str, Any], *, tls: bool
    ) -> None:
        super().__init__(nodes, options, tls=tls)
        self._slot = slot

    def _question(self) -> Sequence[str]:
        return "CLUSTER", "SLOTS"

    def _read(self, answer: Any, node: Address) -> Address | None:
        found = None
        for first, last, *members in answer:
            # A node that does not know its own name leaves it out: it is the one that was asked.
            places = [Address(_text(each[0]) or node.host, int(each[1])) for each in members]
            self._nodes += [place for place in places if place not in self._nodes]
            if first <= self._slot <= last:
                found = places[0]
        return found


def _text(name: bytes | str | None) -> str:
    return name.decode() if isinstance(name, bytes) else name or ""
