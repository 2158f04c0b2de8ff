"""Simple HTTP/1.1 servers that play models, and record what they were asked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple


class Received(NamedTuple):
    """A request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Respond = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def response(status: int, body: bytes, **headers: str) -> bytes:
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{extra}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def answers(status: int = 200, body: bytes = b'{"ok":true}', **headers: str) -> Respond:
    async def respond(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(response(status, body, **headers))

    return respond


async def hangs(_: Received, _writer: asyncio.StreamWriter) -> None:
    """Say nothing until the test ends."""
    await asyncio.Event().wait()


async def resets(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def streams(count: int, pause: float, go: asyncio.Event | None = None) -> Respond:
    """Send ``count`` events with a pause after each; all but the first wait for ``go``."""

    async def respond(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for number in range(count):
            event = b'data: {"n":%d}\n\n' % number
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await writer.drain()
            await asyncio.sleep(pause)
            if go is not None:
                await go.wait()
        writer.write(b"0\r\n\r\n")

    return respond


class Upstream:
    """A server on a free port of loopback."""

    def __init__(self, respond: Respond | None = None) -> None:
        self.requests: list[Received] = []
        self.respond = respond or answers()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, **options: object) -> "Upstream":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, **options)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def last(self) -> Received:
        return self.requests[-1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            while line := await reader.readline():
                request = await _read(line, reader)
                self.requests.append(request)
                await self.respond(request, writer)
                await writer.drain()
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


async def _read(line: bytes, reader: asyncio.StreamReader) -> Received:
    method, path, _ = line.decode().split(" ", 2)
    headers = await read_headers(reader)
    return Received(method, path, headers, await read_body(reader, headers))


async def read_headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return headers


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    parts = []
    while size := int((await reader.readline()).strip() or b"0", 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(parts)
