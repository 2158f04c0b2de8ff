"""Frames of HTTP/2 (RFC 9113, sections 4 and 6): bytes ↔ kind, flags, stream, payload."""

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
LONGEST_FRAME = 16_384
"""Payload bytes of a frame, unless a peer's settings allow more."""
GREATEST = 2**31 - 1
"""The greatest window and the greatest stream id."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6

_HEAD = Struct(">BHBBI")
_SETTING = Struct(">HI")

Frame = tuple[int, int, int, bytes]
"""Kind, flags, stream, payload."""


class ErrorCode(IntEnum):
    """RFC 9113, section 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class ConnectionFault(Exception):
    """The peer broke the protocol: the connection ends with GOAWAY."""

    def __init__(self, code: ErrorCode, why: str) -> None:
        super().__init__(why)
        self.code = code


class StreamFault(Exception):
    """One stream is wrong: it ends with RST_STREAM, the others go on."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code.name)
        self.code = code


def head(kind: int, flags: int, stream: int, length: int) -> bytes:
    """Return the nine bytes before a payload."""
    return _HEAD.pack(length >> 16, length & 0xFFFF, kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a whole frame."""
    return head(kind, flags, stream, len(payload)) + payload


def settings(values: dict[int, int]) -> bytes:
    """Return the payload of SETTINGS."""
    return b"".join(_SETTING.pack(*item) for item in values.items())


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Return name and value of each setting; the payload is a multiple of six bytes."""
    return _SETTING.iter_unpack(payload)


def number(value: int) -> bytes:
    """Return the four bytes of a window's increment, an error code, a stream's id."""
    return value.to_bytes(4, "big")


def unpadded(flags: int, payload: bytes) -> bytes:
    """Return a payload without its padding, if the flags say that it has some."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding is longer than the frame")
    return payload[1 : len(payload) - payload[0]]


class FrameReader:
    """Cuts a stream of bytes, however it is chunked, into frames; the preface comes first."""

    __slots__ = ("_begun", "_needed", "_rest")

    def __init__(self) -> None:
        self._begun = False
        self._needed = 0
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Return the frames that are complete now; what is incomplete is kept."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        at, size = 0, len(data)
        if not self._begun:
            at = self._preface(data)
        self._needed = 9
        while self._begun and size - at >= 9:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, at)
            length = high << 16 | low
            if length > LONGEST_FRAME:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            end = at + 9 + length
            if end > size:
                self._needed = end - at
                break
            yield kind, flags, stream & GREATEST, data[at + 9 : end]
            at = end
        if at < size:
            self._rest += data[at:]

    def _preface(self, data: bytes) -> int:
        """Return where frames begin; 0 while the preface is incomplete."""
        start = data[: len(PREFACE)]
        if not PREFACE.startswith(start):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "not HTTP/2")
        self._begun = len(start) == len(PREFACE)
        return len(PREFACE) if self._begun else 0
