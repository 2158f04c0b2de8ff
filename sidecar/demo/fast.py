"""A model for load tests: one fixed chat completion, at the least cost for each request."""

import asyncio

import msgspec

from sidecar.demo.ask import Ask
from sidecar.demo.shapes import SHAPES, Reply

END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"
CHUNKED = b"\r\ntransfer-encoding: chunked"
LAST_CHUNK = b"0\r\n\r\n"


def completion(name: str) -> bytes:
    """Return the whole response, head and body, of model ``name``."""
    ask = Ask.read("chat", msgspec.json.encode({"model": name}))
    reply = Reply(ask, ask.answer(name, 0), number=1, created=0)
    body = msgspec.json.encode(SHAPES["chat"].whole(reply))
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Fast(asyncio.Protocol):
    """Answers every request on a connection with the same bytes, pipelined ones included.

    A chunked body ends where a read ends in the last chunk: enough for Envoy and the load
    generator, wrong for a body that carries those five bytes at the end of a read.
    """

    __slots__ = ("_buffer", "_response", "_transport")

    def __init__(self, response: bytes) -> None:
        self._response = response
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Answer as many requests as are complete."""
        buffer = self._buffer + data if self._buffer else data
        count = 0
        while buffer and (end := request_end(buffer)):
            count += 1
            buffer = buffer[end:]
        self._buffer = buffer
        if count:
            self._transport.write(self._response * count)


def request_end(buffer: bytes) -> int:
    """Return the offset after the first request in ``buffer``; 0: it is not complete."""
    end = buffer.find(END_OF_HEAD)
    if end < 0:
        return 0
    body = end + len(END_OF_HEAD)
    head = buffer[: end + 2].lower()
    at = head.find(LENGTH)
    if at >= 0:
        start = at + len(LENGTH)
        body += int(head[start : head.find(b"\r\n", start)])
        return body if len(buffer) >= body else 0
    if CHUNKED in head:
        return len(buffer) if buffer.endswith(LAST_CHUNK) else 0
    return body
