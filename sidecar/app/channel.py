"""The pipe from control to a worker: the current statistics, pushed whenever they change.

It is the worker's standard input, so its end is also how a worker learns that control died.
A frame is a length (4 bytes, big-endian) and a msgpack'd `Stats`.
"""

import asyncio
import sys

import msgspec

from sidecar.model import Stats

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Stats)
_LENGTH = 4


def frame(stats: Stats) -> bytes:
    """Return ``stats`` as one frame."""
    payload = _encoder.encode(stats)
    return len(payload).to_bytes(_LENGTH, "big") + payload


class StatsInbox:
    """The worker's end: keeps the newest statistics that control has sent."""

    def __init__(self) -> None:
        self.current = Stats()

    async def listen(self) -> None:
        """Read frames from standard input; returns when control is gone."""
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(_LENGTH), "big")
                self.current = _decoder.decode(await reader.readexactly(size))
        except asyncio.IncompleteReadError:
            return
