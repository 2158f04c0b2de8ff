"""One streamed answer, with the time at which each of its events arrived."""

import asyncio
import itertools
import time
from typing import NamedTuple

from bench.load import END_OF_HEAD

clock = time.perf_counter


class Event(NamedTuple):
    """One server-sent event and when its last byte arrived, in seconds from the request."""

    at: float
    data: bytes


class Stream(NamedTuple):
    """A streamed answer; ``whole`` is False when it was cut."""

    status: int
    head: bytes
    head_at: float
    """When the head arrived, in seconds from the request."""
    events: tuple[Event, ...]
    whole: bool

    @property
    def gaps(self) -> list[float]:
        """Seconds between each event and the next."""
        times = [event.at for event in self.events]
        return [later - earlier for earlier, later in itertools.pairwise(times)]


async def stream(address: str, request: bytes) -> Stream:
    """Send one request on a connection of its own and read its chunked answer to the end.

    Raises OSError when nothing listens, asyncio.IncompleteReadError when no head comes.
    """
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        start = clock()
        writer.write(request)
        head = await reader.readuntil(END_OF_HEAD)
        head_at = clock() - start
        events, whole = await _events(reader, start)
        return Stream(int(head[9:12]), head, head_at, tuple(events), whole)
    finally:
        writer.close()


async def _events(reader: asyncio.StreamReader, start: float) -> tuple[list[Event], bool]:
    """Read chunks to the last one; an event may end anywhere in a chunk."""
    events: list[Event] = []
    rest = b""
    try:
        while size := int(await reader.readline(), 16):
            rest += await reader.readexactly(size + 2)
            now = clock() - start
            *done, rest = rest[:-2].split(b"\n\n")
            events += [Event(now, data) for data in done]
    except (asyncio.IncompleteReadError, ConnectionResetError, ValueError):
        return events, False
    return events, True
