"""gRPC's messages in a stream of data: a flag, four bytes of length, the message."""

from enum import IntEnum

_PREFIX = 5


class Code(IntEnum):
    """gRPC's status codes, those that are given here."""

    OK = 0
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13


class Refused(Exception):
    """A call ends with this status; ``text`` is for the client."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class MessageReader:
    """Feed it data, cut anyhow; it returns the messages that are complete."""

    __slots__ = ("_chunks", "_length", "_longest", "held")

    def __init__(self, longest: int) -> None:
        self.held = 0
        """Bytes of the message that is incomplete."""
        self._longest = longest
        self._chunks: list[bytes] = []
        self._length = -1

    def feed(self, data: bytes) -> list[bytes]:
        """Return messages. Raises Refused for one that is compressed or too long."""
        if not self.held and _PREFIX + int.from_bytes(data[1:_PREFIX], "big") == len(data):
            self._read_length(data)
            return [data[_PREFIX:]]
        messages: list[bytes] = []
        while data:
            data = self._take(data)
            if self._length >= 0 and self.held == _PREFIX + self._length:
                messages.append(b"".join(self._chunks))
                self._begin()
        return messages

    def _take(self, data: bytes) -> bytes:
        """Take what belongs to the message that is incomplete; return the rest."""
        more = _PREFIX + max(self._length, 0) - self.held
        piece, rest = data[:more], data[more:]
        self.held += len(piece)
        self._chunks.append(piece)
        if self._length < 0 and self.held == _PREFIX:
            prefix = b"".join(self._chunks)
            self._chunks.clear()
            self._length = self._read_length(prefix)
        return rest

    def _read_length(self, prefix: bytes) -> int:
        if prefix[0]:
            raise Refused(Code.UNIMPLEMENTED, "compressed messages are not understood")
        length = int.from_bytes(prefix[1:_PREFIX], "big")
        if length > self._longest:
            raise Refused(Code.RESOURCE_EXHAUSTED, "the message is too long")
        return length

    def _begin(self) -> None:
        self.held = 0
        self._length = -1
        self._chunks.clear()
