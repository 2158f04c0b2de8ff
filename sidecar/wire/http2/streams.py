"""The streams of a connection: opened by header blocks, fed by data, until they are closed."""

from typing import NamedTuple, Protocol

from sidecar.wire.http2.frames import (
    END_HEADERS,
    END_STREAM,
    GREATEST,
    RST_STREAM,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    ConnectionFault,
    ErrorCode,
    StreamFault,
    number,
    unpadded,
)
from sidecar.wire.http2.headers import LONGEST_BLOCK, HeaderReader
from sidecar.wire.http2.outbox import Outbox, Stream


class Limits(NamedTuple):
    """How much of a worker one connection may have.

    ``credit``: bytes that a stream may send before it is granted more; ``streams``: open at once.
    """

    credit: int
    streams: int = 16_384


class Listener(Protocol):
    """What streams tell. Inside these a connection may be told to send, finish or reset."""

    def opened(self, stream: Stream, path: bytes) -> None:
        """Begin a stream."""

    def data(self, stream: Stream, payload: bytes) -> None:
        """Take bytes of a stream whose answer is not finished."""

    def ended(self, stream: Stream) -> None:
        """Know that the peer has sent all, and the answer is not finished."""

    def dropped(self, stream: Stream) -> None:
        """Forget a stream, whatever its state."""


class _Block(NamedTuple):
    """A header block of which frames are missing. Each frame's head counts: empty ones end too."""

    stream: int
    ends: bool
    parts: list[bytes]
    size: int


class Streams:
    """Streams by number, and what the peer may still send."""

    def __init__(self, listener: Listener, limits: Limits, out: Outbox) -> None:
        self.open: dict[int, Stream] = {}
        self.last = 0
        """The greatest number that the peer has used."""
        self.refuse = False
        """Whether new ones come too late."""
        self.headers = HeaderReader()
        self._listener = listener
        self._limits = limits
        self._out = out
        self._credit = GREATEST
        self._block: _Block | None = None

    @property
    def inside_block(self) -> bool:
        """Whether only a CONTINUATION may come."""
        return self._block is not None

    def find(self, wanted: int) -> Stream | None:
        """Return an open stream, ``None`` if it is closed; no other may be spoken of."""
        stream = self.open.get(wanted)
        if stream is None and (wanted > self.last or wanted % 2 == 0):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a stream that was never opened")
        return stream

    def on_data(self, flags: int, wanted: int, payload: bytes) -> None:
        """Take DATA; that of closed streams counts and is dropped."""
        size = len(payload)
        self._count(size)
        stream = self.find(wanted)
        payload = unpadded(flags, payload)
        if stream is None:
            return
        if stream.ended:
            raise StreamFault(ErrorCode.STREAM_CLOSED)
        stream.credit -= size
        stream.ended = bool(flags & END_STREAM)
        if payload and not stream.finished:
            self._listener.data(stream, payload)
        if stream.ended:
            self._end(stream)
        elif stream.credit < self._limits.credit // 2 and stream.id in self.open:
            self._widen(stream)

    def on_headers(self, flags: int, wanted: int, payload: bytes) -> None:
        """Take HEADERS, which open a stream or, as trailers, end one."""
        if wanted % 2 == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "not a stream of a client")
        block = unpadded(flags, payload)
        if flags & WITH_PRIORITY:
            if len(block) < 5:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "no room for a priority")
            block = block[5:]
        ends = bool(flags & END_STREAM)
        if flags & END_HEADERS:
            self._on_block(wanted, block, ends=ends)
        else:
            self._block = _Block(wanted, ends, [block], len(block))

    def on_continuation(self, flags: int, wanted: int, payload: bytes) -> None:
        """Take CONTINUATION."""
        block = self._block
        if block is None or block.stream != wanted:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "nothing to continue")
        block.parts.append(payload)
        size = block.size + len(payload) + 9
        if size > LONGEST_BLOCK:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a header block is too long")
        if flags & END_HEADERS:
            self._block = None
            self._on_block(wanted, b"".join(block.parts), ends=block.ends)
        else:
            self._block = block._replace(size=size)

    def reset(self, wanted: int, code: ErrorCode) -> None:
        """Close a stream with RST_STREAM."""
        self._out.put(RST_STREAM, 0, wanted, number(code))
        if wanted in self.open:
            self.drop(self.open[wanted])

    def over(self, stream: Stream) -> None:
        """Close a stream whose answer is out; a peer that is not done need not go on (8.1)."""
        if not stream.ended:
            self._out.put(RST_STREAM, 0, stream.id, number(ErrorCode.NO_ERROR))
        self.drop(stream)

    def drop(self, stream: Stream) -> None:
        """Close a stream without a word."""
        self.open.pop(stream.id, None)
        self._out.forget(stream)
        self._listener.dropped(stream)

    def _count(self, size: int) -> None:
        """Widen the connection's window long before it is used up."""
        self._credit -= size
        if self._credit < GREATEST // 2:
            self._out.put(WINDOW_UPDATE, 0, 0, number(GREATEST - self._credit))
            self._credit = GREATEST

    def _widen(self, stream: Stream) -> None:
        more, stream.credit = self._limits.credit - stream.credit, self._limits.credit
        self._out.put(WINDOW_UPDATE, 0, stream.id, number(more))

    def _end(self, stream: Stream) -> None:
        if stream.id in self.open and not stream.finished:
            self._listener.ended(stream)

    def _on_block(self, wanted: int, block: bytes, *, ends: bool) -> None:
        path = self.headers.path(block)
        stream = self.open.get(wanted)
        if stream is not None:
            self._on_trailers(stream, ends=ends)
        elif wanted > self.last:
            self.last = wanted
            self._open(wanted, path, ends=ends)

    def _on_trailers(self, stream: Stream, *, ends: bool) -> None:
        if stream.ended:
            raise StreamFault(ErrorCode.STREAM_CLOSED)
        if not ends:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR)
        stream.ended = True
        self._end(stream)

    def _open(self, wanted: int, path: bytes | None, *, ends: bool) -> None:
        if self.refuse or len(self.open) >= self._limits.streams:
            raise StreamFault(ErrorCode.REFUSED_STREAM)
        if path is None:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR)
        stream = self.open[wanted] = self._out.stream(wanted, self._limits.credit)
        stream.ended = ends
        self._listener.opened(stream, path)
        if ends:
            self._end(stream)
