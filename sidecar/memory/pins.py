"""Pins of sessions, as this process knows them, and what Redis has to be told of them.

What is stored wins over a first pin that somebody else made at the same moment; a pin that is
moved overwrites what is stored. Nothing here talks to Redis.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

MOST_PINS = 100_000
MOST_WRITES = 20_000
LONGEST_SECONDS = 1e9
REFRESH = 0.25
"""Part of its lifetime after which the use of a pin prolongs it."""


class Pin(NamedTuple):
    """A target until ``expires``; ``due``: when using it prolongs it. By the process's clock."""

    target: str
    expires: float
    due: float


class Write(NamedTuple):
    """What Redis has to be told: ``move`` overwrites what is stored."""

    target: str
    seconds: float
    move: bool


class Pins:
    """Known pins, the least recently used first, and writes that wait."""

    def __init__(
        self, clock: Callable[[], float], *, most: int = MOST_PINS, most_writes: int = MOST_WRITES
    ) -> None:
        self.dropped = 0
        """Writes that found no room; such a pin is written when it is prolonged."""
        self.waiting: dict[str, Write] = {}
        self._clock = clock
        self._most = most
        self._most_writes = most_writes
        self._known: dict[str, Pin] = {}
        self._sent: Mapping[str, Write] = {}

    def get(self, key: str) -> str | None:
        """Return the target that is pinned."""
        pin = self._known.get(key)
        return pin.target if pin is not None and pin.expires > self._clock() else None

    def set(self, key: str, target: str, seconds: float) -> None:
        """Pin ``target``, or prolong its pin if it is time to."""
        if not seconds > 0:
            return
        seconds = min(seconds, LONGEST_SECONDS)
        now, pin = self._clock(), self._known.pop(key, None)
        if pin is not None and pin.expires <= now:
            pin = None
        if pin is not None and pin.target == target and now < pin.due:
            self._known[key] = pin  # now the most recently used
            return
        self._keep(key, target, seconds, now)
        self._write(key, Write(target, seconds, pin is not None and pin.target != target))

    def learn(self, key: str, target: str, seconds: float) -> None:
        """Take over what is stored, unless a move of our own is under way."""
        write = self.waiting.get(key) or self._sent.get(key)
        if write is not None and write.move:
            return
        self._known.pop(key, None)
        if target and seconds > 0:
            self._keep(key, target, seconds, self._clock())

    def take(self, most: int) -> Mapping[str, Write]:
        """Return up to ``most`` writes to be sent; `settle` or `restore` must follow."""
        batch = [*self.waiting.items()][:most] if len(self.waiting) > most else self.waiting
        self._sent = dict(batch)
        for key in self._sent:
            del self.waiting[key]
        return self._sent

    def settle(self, stored: Mapping[str, str]) -> None:
        """Note what is stored now that the writes are done."""
        sent, self._sent = self._sent, {}
        for key, target in stored.items():
            if target != sent[key].target:
                self.learn(key, target, sent[key].seconds)

    def restore(self) -> None:
        """Put back writes that may not have been done, before those that came later."""
        sent, self._sent = self._sent, {}
        for key, write in sent.items():
            later = self.waiting.get(key)
            if later is None:
                self._write(key, write)
            elif write.move:
                self.waiting[key] = later._replace(move=True)

    def _keep(self, key: str, target: str, seconds: float, now: float) -> None:
        self._known[key] = Pin(target, now + seconds, now + seconds * REFRESH)
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]

    def _write(self, key: str, write: Write) -> None:
        before = self.waiting.get(key)
        if before is not None:
            self.waiting[key] = write._replace(move=before.move or write.move)
        elif len(self.waiting) < self._most_writes:
            self.waiting[key] = write
        else:
            self.dropped += 1
