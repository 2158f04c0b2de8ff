"""The memory of a worker: reading and changing it is local and quick."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from redis.asyncio import Redis

from sidecar.memory.counts import Counts
from sidecar.memory.pins import Pins
from sidecar.memory.sharing import Sharing
from sidecar.memory.turns import Turns
from sidecar.model import FORGETFUL, Count, Effect, Hook, SetPin, TakeTurn


class LiveMemory:
    """A `Memory` that `apply` changes and `run` shares with all other workers.

    Turns are this worker's own; pins and counts are everybody's. ``redis`` answers in bytes and
    has no socket timeout: before Python 3.12 redis-py's own loses cancellations, and `run` would
    not end. ``verdict`` answers for guards.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        prefix: str,
        verdict: Callable[[Hook], Mapping[str, Any]] = FORGETFUL.verdict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._turns, self._pins, self._counts = Turns(), Pins(clock), Counts(clock)
        self._sharing = Sharing(redis, self._pins, self._counts, prefix)
        self._verdict = verdict

    @property
    def up(self) -> bool:
        """Whether the last exchange with Redis went well."""
        return self._sharing.up

    @property
    def dropped(self) -> int:
        """How many pins and amounts were not written, because too many waited."""
        return self._pins.dropped + self._counts.dropped

    def turn(self, key: str) -> int:
        """Return how many turns were taken under ``key`` in this worker."""
        return self._turns.get(key)

    def pin(self, key: str) -> str | None:
        """Return the target that is pinned under ``key``, as far as this worker has heard."""
        return self._pins.get(key)

    def usage(self, key: str) -> float:
        """Return what was counted under ``key``: here until now, elsewhere until a moment ago.

        A key that was not read lately may have 0, or what it had then, the first time.
        """
        count = self._counts.get(key)
        self._wake()
        return count

    def usages(self, keys: tuple[str, ...]) -> tuple[float, ...]:
        """Return the counts of several keys, as `usage` does."""
        counts = self._counts.get_all(keys)
        self._wake()
        return counts

    def shared(self, _key: str) -> bool:
        """Tell whether the counts of others are heard of."""
        return self._sharing.up

    def add_pending(self, amounts: Mapping[str, float]) -> None:
        """Count what this node's control could not write yet, instead of what it was before."""
        self._counts.pending = amounts

    def listing(self, prefix: str) -> dict[str, float]:
        """Return the counts that are known of keys that begin with ``prefix``."""
        return self._counts.listing(prefix)

    async def learnt(self, seconds: float) -> bool:
        """Wait until what Redis has is known, while `run` runs; tell whether it is."""
        return await self._sharing.learnt(seconds)

    def verdict(self, hook: Hook) -> Mapping[str, Any]:
        """Return what the guard said; raises Pending when it was not asked yet."""
        return self._verdict(hook)

    def apply(self, effects: Iterable[Effect]) -> None:
        """Change what is remembered. Never waits, never raises."""
        for effect in effects:
            match effect:
                case SetPin(key, target, seconds):
                    self._pins.set(key, target, seconds)
                case TakeTurn(key):
                    self._turns.take(key)
                case Count(key, amount, seconds):
                    self._counts.add(key, amount, seconds)
        self._wake()

    async def run(self) -> None:
        """Share until cancelled; call `flush` afterwards."""
        await self._sharing.run()

    async def flush(self) -> bool:
        """Write what waits and tell whether that went well; not while `run` runs."""
        return await self._sharing.flush()

    def _wake(self) -> None:
        if self._pins.waiting or self._counts.waiting:
            self._sharing.changed.set()
