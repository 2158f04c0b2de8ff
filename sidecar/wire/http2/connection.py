"""A connection of HTTP/2, the server's side (RFC 9113): bytes in, streams, bytes out. No I/O."""

from collections.abc import Callable

from sidecar.wire.http2 import frames
from sidecar.wire.http2.frames import (
    ACK,
    GREATEST,
    ConnectionFault,
    ErrorCode,
    FrameReader,
    StreamFault,
    number,
)
from sidecar.wire.http2.headers import LONGEST_BLOCK
from sidecar.wire.http2.outbox import Outbox, Stream
from sidecar.wire.http2.streams import Limits, Listener, Streams

_LAST_CALL = b"draining"
"""The ping behind the first GOAWAY: what the peer sent before it answers is still served."""
_FIRST_WINDOW = 65_535


class Connection:
    """Feed it what arrives; ``take`` what is to be sent, also once it is ``closed``.

    Nothing that a peer sends raises: a stream that is wrong is reset, a peer that breaks the
    protocol gets GOAWAY, and ``fault`` says why.
    """

    def __init__(self, listener: Listener, limits: Limits) -> None:
        self.fault: ConnectionFault | None = None
        self._lost = False
        self._greeted = False
        self._leaving = False
        self._reader = FrameReader()
        self._out = Outbox(self._over)
        self._streams = Streams(listener, limits, self._out)
        self._kinds: dict[int, Callable[[int, int, bytes], None]] = {
            frames.DATA: self._streams.on_data,
            frames.HEADERS: self._streams.on_headers,
            frames.PRIORITY: self._on_priority,
            frames.RST_STREAM: self._on_reset,
            frames.SETTINGS: self._on_settings,
            frames.PUSH_PROMISE: self._on_push,
            frames.PING: self._on_ping,
            frames.GOAWAY: self._on_goaway,
            frames.WINDOW_UPDATE: self._on_window,
            frames.CONTINUATION: self._streams.on_continuation,
        }
        self._greet(limits)

    @property
    def closed(self) -> bool:
        """Whether nothing more is to come or go, but what ``take`` returns."""
        return self._lost or (self._streams.refuse and not self._streams.open)

    @property
    def unsent(self) -> int:
        """Bytes that wait for the peer to widen a window."""
        return self._out.held

    def receive(self, data: bytes) -> None:
        """Take bytes, cut anyhow."""
        if self.closed:
            return
        try:
            for kind, flags, stream, payload in self._reader.feed(data):
                self._take(kind, flags, stream, payload)
                if self.closed:
                    return
        except ConnectionFault as fault:
            self.fail(fault)

    def take(self) -> bytes:
        """Return what is to be sent now."""
        return self._out.take()

    def begin(self, stream: Stream, block: bytes) -> None:
        """Send the first header block of an answer."""
        self._out.headers(stream, block)

    def send(self, stream: Stream, data: bytes) -> None:
        """Send data as far as windows allow, and the rest when they do."""
        self._out.data(stream, data)

    def finish(self, stream: Stream, block: bytes) -> None:
        """End an answer: the block follows all data."""
        self._out.finish(stream, block)

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        """End a stream without an answer."""
        self._streams.reset(stream.id, code)

    def leave(self) -> None:
        """Ask the peer to go elsewhere; what it has begun is finished, and then it is over.

        The first GOAWAY refuses nothing, since streams may be on their way (RFC 9113, 6.8).
        """
        if not self.closed and not self._leaving:
            self._leaving = True
            self._goaway(GREATEST, ErrorCode.NO_ERROR)
            self._out.put(frames.PING, 0, 0, _LAST_CALL)

    def fail(self, fault: ConnectionFault) -> None:
        """End the connection with GOAWAY."""
        self.fault = fault
        self._goaway(self._streams.last, fault.code, str(fault))
        self.lose()

    def lose(self) -> None:
        """Drop all streams: the peer is gone."""
        self._lost = True
        for stream in list(self._streams.open.values()):
            self._streams.drop(stream)

    def _greet(self, limits: Limits) -> None:
        values = {
            frames.HEADER_TABLE_SIZE: 0,
            frames.MAX_CONCURRENT_STREAMS: limits.streams,
            frames.INITIAL_WINDOW_SIZE: limits.credit,
            frames.MAX_HEADER_LIST_SIZE: LONGEST_BLOCK,
        }
        self._out.put(frames.SETTINGS, 0, 0, frames.settings(values))
        self._out.put(frames.WINDOW_UPDATE, 0, 0, number(GREATEST - _FIRST_WINDOW))

    def _over(self, stream: Stream) -> None:
        self._streams.over(stream)

    def _goaway(self, last: int, code: ErrorCode, why: str = "") -> None:
        self._out.put(frames.GOAWAY, 0, 0, number(last) + number(code) + why.encode())

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._streams.inside_block and kind != frames.CONTINUATION:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a header block is interrupted")
        if not self._greeted:
            if kind != frames.SETTINGS or flags & ACK:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "settings come first")
            self._greeted = True
        known = self._kinds.get(kind)
        if known is None:
            return
        try:
            known(flags, stream, payload)
        except StreamFault as fault:
            self._streams.reset(stream, fault.code)

    def _on_priority(self, _flags: int, stream: int, payload: bytes) -> None:
        """Priorities are deprecated; only their form is looked at."""
        if stream == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a priority of no stream")
        _exactly(5, payload)

    def _on_reset(self, _flags: int, wanted: int, payload: bytes) -> None:
        _exactly(4, payload)
        stream = self._streams.find(wanted)
        if stream is not None:
            self._streams.drop(stream)

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        _whole_connection(stream)
        if flags & ACK:
            _exactly(0, payload)
            self._streams.headers.forbid_table()
            return
        if len(payload) % 6:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "settings of a wrong size")
        for name, value in frames.read_settings(payload):
            self._set(name, value)
        self._out.put(frames.SETTINGS, ACK, 0)

    def _set(self, name: int, value: int) -> None:
        if name == frames.INITIAL_WINDOW_SIZE:
            if value > GREATEST:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the window is too great")
            self._out.set_first_window(value, self._streams.open)
        elif name == frames.MAX_FRAME_SIZE:
            if not frames.LONGEST_FRAME <= value < 2**24:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a wrong size of frames")
            self._out.longest = value
        elif name == frames.ENABLE_PUSH and value > 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "push is on or off")

    def _on_push(self, _flags: int, _stream: int, _payload: bytes) -> None:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "clients do not push")

    def _on_ping(self, flags: int, stream: int, payload: bytes) -> None:
        _whole_connection(stream)
        _exactly(8, payload)
        if not flags & ACK:
            self._out.put(frames.PING, ACK, 0, payload)
        elif payload == _LAST_CALL and self._leaving and not self._streams.refuse:
            self._streams.refuse = True
            self._goaway(self._streams.last, ErrorCode.NO_ERROR)

    def _on_goaway(self, _flags: int, stream: int, payload: bytes) -> None:
        """Nothing changes: the peer begins no more streams and closes when it likes."""
        _whole_connection(stream)
        if len(payload) < 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY is cut off")

    def _on_window(self, _flags: int, wanted: int, payload: bytes) -> None:
        _exactly(4, payload)
        more = int.from_bytes(payload, "big") & GREATEST
        if wanted == 0:
            if more == 0:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a window that grows by nothing")
            self._out.widen(more)
            return
        stream = self._streams.find(wanted)
        if stream is None:
            return
        if more == 0:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR)
        self._out.widen_stream(stream, more)


def _exactly(size: int, payload: bytes) -> None:
    if len(payload) != size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"{len(payload)} bytes, not {size}")


def _whole_connection(stream: int) -> None:
    if stream != 0:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a stream's frame about the connection")
