"""Load over raw HTTP/1.1 connections, at little CPU of its own.

Closed loop: every connection sends its next request when the last is answered. Open loop:
requests start at times that were fixed before, and latency counts from there, so that a slow
answer cannot hide the requests that it held up (coordinated omission).

The parser is minimal: status, content-length or the end of a chunked body, and one header that
is counted. A chunked body ends where a read ends in the last chunk, which is right for JSON;
an answer with neither has no body.
"""

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from bench.result import Result

clock = time.perf_counter

GRACE_SECONDS = 5.0
"""How long answers may still come in after a run; what is missing then is `Result.lost`."""
REOPEN_SECONDS = 0.01
END_OF_HEAD = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
LENGTH = b"\r\ncontent-length:"
CHUNKED = b"\r\ntransfer-encoding: chunked\r\n"
CLOSE = b"\r\nconnection: close\r\n"

Watch = Callable[[float, bytes], None]


def request(
    path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, method: str = "POST"
) -> bytes:
    """Return the bytes of one HTTP/1.1 request."""
    own = {"host": "bench", "content-type": "application/json", "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in (own | dict(headers or {})).items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


async def closed_loop(
    address: str,
    requests: Sequence[bytes],
    *,
    connections: int = 32,
    seconds: float = 5.0,
    header: str = "",
) -> Result:
    """Send ``requests`` in turn for ``seconds``, one at a time on each connection.

    Answers that carry ``header`` are counted. Raises OSError when nothing listens.
    """
    pool = _Pool(address, requests, header)
    await pool.open(connections)
    with pool.measured():
        end = clock() + seconds
        pool.next_start = lambda: now if (now := clock()) < end else None
        pool.wake()
        await asyncio.sleep(seconds)
        await pool.drain()
    return pool.result


async def open_loop(
    address: str,
    requests: Sequence[bytes],
    starts: Iterable[float],
    *,
    connections: int = 32,
    header: str = "",
    watch: Watch | None = None,
) -> Result:
    """Send ``requests`` in turn at ``starts``: `even`, `poisson`, or any rising seconds from 0.

    A request whose time has come waits for a free connection, and its latency counts the wait.
    ``watch`` is given the time of each answer and its head in lower case.
    """
    pool = _Pool(address, requests, header)
    pool.watch = watch
    await pool.open(connections)
    waiting: deque[float] = deque()
    pool.next_start = lambda: waiting.popleft() if waiting else None

    def due(start: float) -> None:
        waiting.append(start)
        pool.wake_one()

    with pool.measured():
        await asyncio.to_thread(_tick, starts, asyncio.get_running_loop(), due)
        await pool.drain(waiting)
    return pool.result


def even(rate: float, seconds: float) -> Iterator[float]:
    """Yield ``rate`` start times a second, equally far apart."""
    return (index / rate for index in range(round(rate * seconds)))


def poisson(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Yield the start times of a Poisson process, the same for the same seed."""
    draw = random.Random(seed)
    gaps = (draw.expovariate(rate) for _ in itertools.count())
    return itertools.takewhile(lambda start: start < seconds, itertools.accumulate(gaps))


def _tick(
    starts: Iterable[float], loop: asyncio.AbstractEventLoop, due: Callable[[float], None]
) -> None:
    """Call ``due`` on the loop at each start, from a thread.

    Event loops round their timers to whole milliseconds; a sleeping thread is 0.1 ms late.
    """
    zero = clock()
    for start in starts:
        wait = zero + start - clock()
        if wait > 0:
            time.sleep(wait)
        loop.call_soon_threadsafe(due, zero + start)


def _no_start() -> float | None:
    return None


class _Pool:
    """The connections of one run, and what they share."""

    def __init__(self, address: str, requests: Sequence[bytes], header: str) -> None:
        host, _, port = address.rpartition(":")
        self.where = (host.strip("[]"), int(port))
        self.next_request = itertools.cycle(requests).__next__
        self.next_start: Callable[[], float | None] = _no_start
        """When the next request was to start; None: nothing to send now."""
        self.header = f"\r\n{header.lower()}:".encode() if header else b""
        self.watch: Watch | None = None
        self.result = Result()
        self.busy = 0
        self.last_answer = 0.0
        self.idle: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._repairs: set[asyncio.Task[None]] = set()
        self.closed = False

    async def open(self, count: int) -> None:
        """Open ``count`` connections."""
        await asyncio.gather(*(self._open_one() for _ in range(count)))

    async def _open_one(self) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self), *self.where)
        self._all.add(connection)
        connection.proceed()

    def wake(self) -> None:
        """Let every idle connection look for a request."""
        idle, self.idle = self.idle, []
        for connection in idle:
            connection.proceed()

    def wake_one(self) -> None:
        """Let one idle connection look for a request, if any is idle."""
        if self.idle:
            self.idle.pop().proceed()

    def replace(self, connection: "_Connection") -> None:
        """Open a new connection for one that has ended."""
        self._all.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if not self.closed:
            repair = asyncio.ensure_future(self._reopen())
            self._repairs.add(repair)
            repair.add_done_callback(self._repairs.discard)

    async def _reopen(self) -> None:
        while True:
            try:
                return await self._open_one()
            except OSError:
                await asyncio.sleep(REOPEN_SECONDS)

    async def drain(self, waiting: Sequence[float] = ()) -> None:
        """Wait for the answers that are still out; what does not come is lost."""
        end = clock() + GRACE_SECONDS
        # Polled: an event would have to be set or checked at every answer.
        while (self.busy or waiting) and clock() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        self.result.lost = self.busy + len(waiting)

    def measured(self) -> "_Measured":
        """Return a context that measures the run and closes the connections at its end."""
        return _Measured(self)

    def close(self) -> None:
        """Close everything and repair nothing any more."""
        self.closed = True
        for repair in self._repairs:
            repair.cancel()
        for connection in self._all:
            connection.transport.close()


class _Measured:
    """Time from the first send to the last answer, and the CPU time of this process."""

    def __init__(self, pool: _Pool) -> None:
        self.pool = pool

    def __enter__(self) -> None:
        self.cpu, self.start = time.process_time(), clock()

    def __exit__(self, *_: object) -> None:
        result = self.pool.result
        result.client_cpu = time.process_time() - self.cpu
        result.duration = max(0.0, self.pool.last_answer - self.start)
        self.pool.close()


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on it."""

    __slots__ = ("_buffer", "_pool", "_sent", "_start", "transport")

    transport: asyncio.Transport

    def __init__(self, pool: _Pool) -> None:
        self._pool = pool
        self._buffer = b""
        self._start = 0.0
        self._sent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def proceed(self) -> None:
        """Send the next request, or be idle when there is none now."""
        pool = self._pool
        start = pool.next_start()
        if start is None:
            pool.idle.append(self)
            return
        pool.busy += 1
        self._start, self._sent = start, True
        pool.result.late.append(clock() - start)
        self.transport.write(pool.next_request())

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        end = data.find(END_OF_HEAD) + 2
        head = data[:end].lower()
        if end < 2 or not complete(data, head):
            self._buffer = data
            return
        self._buffer = b""
        self._count(int(head[9:12]), head)
        if CLOSE in head:
            self.transport.close()
        else:
            self.proceed()

    def _count(self, status: int, head: bytes) -> None:
        pool = self._pool
        result = pool.result
        pool.last_answer = now = clock()
        result.latencies.append(now - self._start)
        result.statuses[status] += 1
        if pool.header and pool.header in head:
            result.carried += 1
        if pool.watch:
            pool.watch(now, head)
        pool.busy -= 1
        self._sent = False

    def connection_lost(self, _: Exception | None) -> None:
        if self._sent:
            self._pool.busy -= 1
            self._pool.result.broken += not self._pool.closed
        self._pool.replace(self)


def complete(data: bytes, head: bytes) -> bool:
    """Return whether ``data`` is a whole answer; ``head`` is its head in lower case."""
    at = head.find(LENGTH)
    if at >= 0:
        start = at + len(LENGTH)
        length = int(head[start : head.find(b"\r\n", start)])
        return len(data) >= len(head) + 2 + length
    return CHUNKED not in head or data.endswith(LAST_CHUNK)
