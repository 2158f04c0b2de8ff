"""The pipe from control to a worker: statistics and what Envoy has, pushed whenever they change.

It is the worker's standard input, so its end is also how a worker learns that control died.
A frame is a length (4 bytes, big-endian) and a msgpack'd `Bulletin`.
"""

import asyncio
import sys

import msgspec

from sidecar.model import BackendStats, Snapshot, Stats


class Bulletin(msgspec.Struct, frozen=True):
    """What control tells its workers. ``ready``: backends that Envoy has; ``None``: not known.

    Ready ones are listed, not the missing ones: a worker may learn of a new backend before
    control does, and must not send a request to a cluster that Envoy does not know.
    """

    backends: dict[str, BackendStats] = {}
    ready: frozenset[str] | None = None


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(Bulletin)
_LENGTH = 4


def frame(bulletin: Bulletin) -> bytes:
    """Return ``bulletin`` as one frame; equal ones give equal bytes."""
    payload = _encoder.encode(bulletin)
    return len(payload).to_bytes(_LENGTH, "big") + payload


class Inbox:
    """The worker's end: keeps the statistics that decisions are made with."""

    def __init__(self) -> None:
        self.stats = Stats()
        self._bulletin = Bulletin()
        self._backends: frozenset[str] = frozenset()

    async def listen(self) -> None:
        """Read frames from standard input; returns when control is gone."""
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(_LENGTH), "big")
                self.take(_decoder.decode(await reader.readexactly(size)))
        except asyncio.IncompleteReadError:
            return

    def take(self, bulletin: Bulletin) -> None:
        """Use what control says from now on."""
        self._bulletin = bulletin
        self._refresh()

    def use(self, snapshot: Snapshot) -> None:
        """Know the backends of ``snapshot``; call it before decisions are made with it."""
        self._backends = frozenset(snapshot.backends)
        self._refresh()

    def _refresh(self) -> None:
        ready = self._bulletin.ready
        unready = frozenset() if ready is None else self._backends - ready
        self.stats = Stats(backends=self._bulletin.backends, unready=unready)
