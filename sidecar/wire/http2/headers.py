"""Header blocks (RFC 7541): the path of a call in, the few blocks that gRPC needs out."""

from hpack import Decoder, HPACKError, OversizedHeaderListError

from sidecar.wire.http2.frames import ConnectionFault, ErrorCode

LONGEST_BLOCK = 64 * 1024
"""Bytes of a header block, compressed or not."""
_LONGEST_KEPT = 1024
_MOST_KEPT = 256

NO_TABLE = b"\x20"
"""Says that our encoder keeps no table. First in the first block of a connection, it holds whatever
size of table the peer sets later."""


class HeaderReader:
    """Finds the path of each call. Every block goes through it: decoding has a state.

    It has none from when the peer keeps no table (``forbid_table``): then the same bytes mean the
    same headers, and Envoy sends the same bytes for every call.
    """

    __slots__ = ("_decoder", "_kept")

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=LONGEST_BLOCK)
        self._kept: dict[bytes, bytes | None] = {}

    def forbid_table(self) -> None:
        """The peer has acknowledged that its table is to have no room (RFC 9113, 4.3.1)."""
        self._decoder.max_allowed_table_size = 0

    def path(self, block: bytes) -> bytes | None:
        """Return ``:path``; ``None`` if there is not exactly one."""
        if block in self._kept:
            return self._kept[block]
        try:
            fields = self._decoder.decode(block, raw=True)
        except OversizedHeaderListError as error:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many headers") from error
        except HPACKError as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, "undecodable headers") from error
        paths = [bytes(field[1]) for field in fields if field[0] == b":path"]
        path = paths[0] if len(paths) == 1 else None
        if self._stateless() and len(block) <= _LONGEST_KEPT:
            self._keep(block, path)
        return path

    def _stateless(self) -> bool:
        return self._decoder.max_allowed_table_size == self._decoder.header_table_size == 0

    def _keep(self, block: bytes, path: bytes | None) -> None:
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[block] = path


def _literal(name: bytes, value: bytes) -> bytes:
    """Return a field that no table keeps; name and value are shorter than 127 bytes."""
    return bytes((0, len(name))) + name + bytes((len(value),)) + value


ANSWER = b"\x88" + _literal(b"content-type", b"application/grpc")
"""``:status: 200`` is entry 8 of the static table."""


def trailers(status: int, message: str = "") -> bytes:
    """Return the block of gRPC's status. ``message``: ASCII without a percent sign."""
    block = _literal(b"grpc-status", str(status).encode())
    return block + _literal(b"grpc-message", message.encode()) if message else block
