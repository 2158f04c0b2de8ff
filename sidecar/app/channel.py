"""The pipe from control to a worker: statistics and what Envoy has, pushed whenever they change.

It is the worker's standard input, so its end is also how a worker learns that control died.
A frame is a length (4 bytes, big-endian) and a msgpack'd `Bulletin`.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping

import msgspec

from sidecar.model import LIMITED, BackendStats, Odds, Out, Snapshot, Stats

Bandits = Mapping[str, Mapping[str, Odds]]
"""As in `Stats.bandits`."""

_encoder = msgspec.msgpack.Encoder(order="deterministic")
_read_bandits = msgspec.msgpack.Decoder(dict[str, dict[str, Odds]]).decode


def packed(bandits: Bandits) -> msgspec.Raw:
    """Return the odds of bandits for a bulletin: they change less often than the rest."""
    return msgspec.Raw(_encoder.encode(bandits))


NO_BANDITS = packed({})


class Bulletin(msgspec.Struct, frozen=True):
    """What control tells its workers. ``ready``: clusters that Envoy has; ``None``: not known.

    Ready ones are listed, not the missing ones: a worker may learn of new rules before control
    does, and must not send a request to a cluster that Envoy does not know.
    """

    backends: dict[str, BackendStats] = {}
    ready: frozenset[str] | None = None
    bandits: msgspec.Raw = NO_BANDITS
    """Made by `packed`; read only when they differ from the last ones."""
    out: Mapping[str, Out] = {}
    pending: dict[str, float] = {}
    """By counter of a budget what control could not write, because Redis is away."""


_decoder = msgspec.msgpack.Decoder(Bulletin)
_LENGTH = 4


def frame(bulletin: Bulletin) -> bytes:
    """Return ``bulletin`` as one frame; equal ones give equal bytes."""
    payload = _encoder.encode(bulletin)
    return len(payload).to_bytes(_LENGTH, "big") + payload


class Inbox:
    """The worker's end: keeps the statistics that decisions are made with."""

    def __init__(
        self, on_pending: Callable[[Mapping[str, float]], None] = lambda _pending: None
    ) -> None:
        """``on_pending``: is told what counts besides what Redis has."""
        self.stats = Stats()
        self._bulletin = Bulletin()
        self._backends: frozenset[str] = frozenset()
        self._limited: frozenset[str] = frozenset()
        self._packed = bytes(NO_BANDITS)
        self._bandits: Bandits = {}
        self._on_pending = on_pending

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
        self._on_pending(bulletin.pending)
        said = bytes(bulletin.bandits)
        if said != self._packed:
            self._packed, self._bandits = said, _sharing(_read_bandits(said), self._bandits)
        self._refresh()

    def use(self, snapshot: Snapshot) -> None:
        """Know the backends of ``snapshot``; call it before decisions are made with it."""
        enabled = [one for one in snapshot.backends.values() if one.enabled]
        longest = max((one.timeout_seconds for one in enabled), default=0.0)
        self._backends = frozenset(snapshot.backends)
        self._limited = frozenset(one.name for one in enabled if one.timeout_seconds < longest)
        self._refresh()

    def _refresh(self) -> None:
        ready = self._bulletin.ready
        unready, unlimited = frozenset[str](), frozenset[str]()
        if ready is not None:
            unready = self._backends - ready
            unlimited = frozenset(name for name in self._limited if name + LIMITED not in ready)
        self.stats = Stats(
            self._bulletin.backends, unready, self._bandits, unlimited, self._bulletin.out
        )


def _sharing(new: Bandits, old: Bandits) -> Bandits:
    """Return ``new`` with what is as before taken from ``old``: kept decisions hold many tables."""
    found = {}
    for key, table in new.items():
        before = old.get(key, {})
        found[key] = (
            before
            if before == table
            else {
                bucket: before[bucket] if before.get(bucket) == odds else odds
                for bucket, odds in table.items()
            }
        )
    return found
