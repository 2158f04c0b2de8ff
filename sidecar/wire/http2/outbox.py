"""What goes to the peer, within the windows that it grants (RFC 9113, section 5.2)."""

from collections import deque
from collections.abc import Callable
from typing import Any

from sidecar.wire.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GREATEST,
    HEADERS,
    LONGEST_FRAME,
    ConnectionFault,
    ErrorCode,
    StreamFault,
    frame,
    head,
)
from sidecar.wire.http2.headers import NO_TABLE

_FIRST_WINDOW = 65_535


class Stream:
    """One stream that is not closed. ``window``: what may be sent; ``credit``: received."""

    __slots__ = ("call", "credit", "ended", "finished", "id", "pending", "trailers", "window")

    def __init__(self, number: int, window: int, credit: int) -> None:
        self.id = number
        self.window = window
        self.credit = credit
        self.ended = False
        """The peer has sent all."""
        self.finished = False
        """We have said all; it may be waiting for a window."""
        self.pending: deque[memoryview] = deque()
        self.trailers = b""
        self.call: Any = None


class Outbox:
    """Frames to send. Data waits for its windows, and trailers for the data before them.

    ``over``: called with a stream whose last frame is out.
    """

    def __init__(self, over: Callable[[Stream], None]) -> None:
        self.held = 0
        """Bytes that wait for a window."""
        self._over = over
        self._out: list[bytes | memoryview] = []
        self._window = _FIRST_WINDOW
        self._first_window = _FIRST_WINDOW
        self.longest = LONGEST_FRAME
        """Bytes in a frame that the peer takes."""
        self._waiting: dict[int, Stream] = {}
        self._lead = NO_TABLE

    def take(self) -> bytes:
        """Return what is to be sent now."""
        out, self._out = self._out, []
        return b"".join(out)

    def put(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        """Send a frame that needs no window."""
        self._out.append(frame(kind, flags, stream, payload))

    def stream(self, number: int, credit: int) -> Stream:
        """Return a stream with the window that the peer's settings give it."""
        return Stream(number, self._first_window, credit)

    def headers(self, stream: Stream, block: bytes) -> None:
        """Send the first header block of an answer."""
        self._block(stream, END_HEADERS, block)

    def data(self, stream: Stream, payload: bytes) -> None:
        """Send data, as far as windows allow; the rest waits."""
        size = len(payload)
        # Whatever waits has used up a window, so nothing that fits can overtake it.
        if size <= stream.window and size <= self._window and size <= self.longest:
            stream.window -= size
            self._window -= size
            self._out += (head(DATA, 0, stream.id, size), payload)
            return
        stream.pending.append(memoryview(payload))
        self.held += size
        self._go_on(stream)

    def finish(self, stream: Stream, trailers: bytes) -> None:
        """Send the last header block, after all data."""
        stream.finished = True
        stream.trailers = trailers
        if not stream.pending:
            self._end(stream)

    def forget(self, stream: Stream) -> None:
        """Drop what still waits: the stream is no more."""
        self._waiting.pop(stream.id, None)
        self.held -= sum(map(len, stream.pending))
        stream.pending.clear()

    def widen(self, more: int) -> None:
        """Send what a greater window of the connection has room for."""
        if self._window + more > GREATEST:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the window is too great")
        self._window += more
        self._go_on_all()

    def widen_stream(self, stream: Stream, more: int) -> None:
        """Send what a greater window of one stream has room for."""
        if stream.window + more > GREATEST:
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR)
        stream.window += more
        self._go_on(stream)

    def set_first_window(self, size: int, streams: dict[int, Stream]) -> None:
        """Follow SETTINGS_INITIAL_WINDOW_SIZE, also in streams that are open (6.9.2)."""
        change, self._first_window = size - self._first_window, size
        for stream in streams.values():
            stream.window += change
            if stream.window > GREATEST:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window is too great")
        self._go_on_all()

    def _go_on_all(self) -> None:
        for stream in list(self._waiting.values()):
            if self._window <= 0:
                return
            self._go_on(stream)

    def _go_on(self, stream: Stream) -> None:
        pending = stream.pending
        while pending:
            piece = pending[0]
            size = min(len(piece), stream.window, self._window, self.longest)
            if size <= 0:
                self._waiting[stream.id] = stream
                return
            self._send(stream, piece[:size])
            if size == len(piece):
                pending.popleft()
            else:
                pending[0] = piece[size:]
        self._waiting.pop(stream.id, None)
        if stream.trailers:
            self._end(stream)

    def _send(self, stream: Stream, piece: memoryview) -> None:
        size = len(piece)
        stream.window -= size
        self._window -= size
        self.held -= size
        self._out += (head(DATA, 0, stream.id, size), piece)

    def _end(self, stream: Stream) -> None:
        block, stream.trailers = stream.trailers, b""
        self._block(stream, END_HEADERS | END_STREAM, block)
        self._over(stream)

    def _block(self, stream: Stream, flags: int, block: bytes) -> None:
        self._out.append(frame(HEADERS, flags, stream.id, self._lead + block))
        self._lead = b""
