"""Counts: what was counted under a key by everybody, as far as this process knows.

A count is the total that Redis told last, plus what was counted here since. Nothing here talks
to Redis.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from sidecar.model import BUDGET_KEYS

MOST_KEYS = 100_000
MOST_WRITES = 20_000
LONGEST_SECONDS = 1e9
STALE_SECONDS = 0.1
"""Age from which reading a total asks Redis for a newer one."""
UNKNOWN_SECONDS = 10.0
"""How long it is remembered that a key has nothing."""


class Tally(msgspec.Struct):
    """One key. ``own``: counted here since ``total`` was told; times by the process's clock."""

    total: float
    own: float
    expires: float
    asked: float


class Added(NamedTuple):
    """What Redis has to add; 0 only asks for the total."""

    amount: float
    seconds: float


class Floor(NamedTuple):
    """What a total was already, and for how many seconds more that counts.

    A budget's total only grows: a Redis that tells less has lost some of it, and is told.
    """

    total: float
    seconds: float


class Told(NamedTuple):
    """What Redis answered. ``seconds``: until the key is forgotten, below 0 when there is none."""

    total: float
    seconds: float


class Counts:
    """Known tallies, the least recently used first, and what waits to be added."""

    def __init__(
        self, clock: Callable[[], float], *, most: int = MOST_KEYS, most_writes: int = MOST_WRITES
    ) -> None:
        self.dropped = 0
        """Amounts that found no room: others never hear of them."""
        self.waiting: dict[str, Added] = {}
        self._clock = clock
        self._most = most
        self._most_writes = most_writes
        self._known: dict[str, Tally] = {}
        self._sent: Mapping[str, Added] = {}
        self.pending: Mapping[str, float] = {}
        """Amounts that others on this node could not write yet: they count here all the same."""

    def get(self, key: str) -> float:
        """Return the count; one that is not known is 0, and is asked for like one that is old."""
        return self.get_all((key,))[0]

    def get_all(self, keys: Iterable[str]) -> tuple[float, ...]:
        """Return the counts of several keys, as `get` does."""
        now, known, pending = self._clock(), self._known, self.pending
        counts = []
        for key in keys:
            tally = known.get(key)
            if tally is None or tally.expires <= now:
                self._wait(key, Added(0.0, 0.0))
                count = 0.0
            else:
                if now - tally.asked >= STALE_SECONDS:
                    tally.asked = now
                    self._wait(key, Added(0.0, 0.0))
                count = tally.total + tally.own
            counts.append(count + pending.get(key, 0.0) if pending else count)
        return tuple(counts)

    def learn(self, key: str, total: float, seconds: float) -> None:
        """Note a total that was published; news of a lower one are old news."""
        now, tally = self._clock(), self._known.pop(key, None)
        if tally is None or tally.expires <= now:
            tally = Tally(total, 0.0, now + seconds, now)
        else:
            tally.total, tally.asked = max(tally.total, total), now
        self._keep(key, tally)

    def floor(self, key: str) -> Floor:
        """Return what the total of a budget's key is at least; of other keys nothing is known."""
        tally = self._known.get(key) if key.startswith(BUDGET_KEYS) else None
        left = tally.expires - self._clock() if tally is not None else 0.0
        return Floor(tally.total, left) if tally is not None and left > 0 else Floor(0.0, 0.0)

    def listing(self, prefix: str) -> dict[str, float]:
        """Return the counts of the keys that begin with ``prefix``, as far as they are known."""
        now = self._clock()
        return {
            key: tally.total + tally.own
            for key, tally in [*self._known.items()]
            if key.startswith(prefix) and tally.expires > now
        }

    def add(self, key: str, amount: float, seconds: float) -> None:
        """Count ``amount``; the key is forgotten ``seconds`` after its first amount."""
        if not math.isfinite(amount) or amount == 0 or not seconds > 0:
            return
        seconds = min(seconds, LONGEST_SECONDS)
        now, tally = self._clock(), self._known.pop(key, None)
        if tally is None or tally.expires <= now:
            tally = Tally(0.0, 0.0, now + seconds, now)
        tally.own += amount
        self._keep(key, tally)
        if not self._wait(key, Added(float(amount), seconds)):
            self.dropped += 1

    def take(self, most: int) -> Mapping[str, Added]:
        """Return up to ``most`` amounts to be sent; `settle` or `restore` must follow."""
        batch = [*self.waiting.items()][:most] if len(self.waiting) > most else self.waiting
        self._sent = dict(batch)
        for key in self._sent:
            del self.waiting[key]
        return self._sent

    def settle(self, told: Mapping[str, Told]) -> None:
        """Note the totals; what was counted here in the meantime is on top of them."""
        self._sent = {}
        now = self._clock()
        for key, (total, seconds) in told.items():
            later = self.waiting.get(key)
            own = later.amount if later else 0.0
            left = seconds if seconds > 0 else UNKNOWN_SECONDS
            floor = self.floor(key)  # news that came while this answer was on its way
            self._known.pop(key, None)
            least = floor.total if floor.seconds else total
            tally = Tally(max(total, least), own, now + max(left, floor.seconds), now)
            self._keep(key, tally)

    def restore(self) -> None:
        """Put back what may not have been added. If it was, it will count twice: no limit leaks."""
        sent, self._sent = self._sent, {}
        for key, added in sent.items():
            if not self._wait(key, added) and added.amount:
                self.dropped += 1

    def _wait(self, key: str, added: Added) -> bool:
        before = self.waiting.get(key)
        if before is not None:
            seconds = max(before.seconds, added.seconds)
            self.waiting[key] = Added(before.amount + added.amount, seconds)
        elif len(self.waiting) < (self._most_writes if added.amount else self._most_writes // 2):
            # Questions leave room for amounts: there can be one for each caller's every name.
            self.waiting[key] = added
        else:
            return False
        return True

    def _keep(self, key: str, tally: Tally) -> None:
        self._known[key] = tally
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
