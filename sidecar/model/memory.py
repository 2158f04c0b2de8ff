"""What earlier requests left behind: read while deciding, changed only afterwards.

A decision reads turns, pins, counts and verdicts as values and returns what should change as
effects, so that deciding stays pure and a recorded decision can be made again.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from sidecar.model.experiments import Assignment
from sidecar.model.guards import Guard


class TakeTurn(NamedTuple):
    """Count one more turn under ``key``."""

    key: str


class SetPin(NamedTuple):
    """Keep ``target`` under ``key`` for ``seconds`` from now."""

    key: str
    target: str
    seconds: float


class Count(NamedTuple):
    """Add ``amount`` to what is counted under ``key``, which is forgotten after ``seconds``."""

    key: str
    amount: float
    seconds: float


Effect = TakeTurn | SetPin | Count | Assignment


class Hook(NamedTuple):
    """A question to a guard about this request; ``parameters`` as JSON text, so it can be a key."""

    guard: Guard
    parameters: str = "{}"


class Pending(Exception):
    """A verdict is needed that is not known yet: ask ``hook``, then decide again."""

    def __init__(self, hook: Hook) -> None:
        super().__init__(hook.guard.name)
        self.hook = hook


class Memory(Protocol):
    """Read-only while deciding; all reads of one decision see one moment."""

    def turn(self, key: str) -> int:
        """Return how many turns were taken under ``key``."""

    def pin(self, key: str) -> str | None:
        """Return the target that is pinned under ``key``."""

    def usage(self, key: str) -> float:
        """Return what was counted under ``key``."""

    def usages(self, keys: tuple[str, ...]) -> tuple[float, ...]:
        """Return what was counted under each of ``keys``."""

    def shared(self, key: str) -> bool:
        """Tell whether what others count under keys such as ``key`` is heard of here."""

    def verdict(self, hook: Hook) -> Mapping[str, Any]:
        """Return what the guard said; raises Pending when it was not asked yet."""


class Forgetful:
    """A memory without anything in it; guards are not asked."""

    __slots__ = ()

    def turn(self, _key: str) -> int:
        """Return 0."""
        return 0

    def pin(self, _key: str) -> str | None:
        """Return ``None``."""
        return None

    def usage(self, _key: str) -> float:
        """Return 0."""
        return 0.0

    def usages(self, keys: tuple[str, ...]) -> tuple[float, ...]:
        """Return 0 for each."""
        return (0.0,) * len(keys)

    def shared(self, _key: str) -> bool:
        """Return true: there is nobody else."""
        return True

    def verdict(self, _hook: Hook) -> Mapping[str, Any]:
        """Return an error."""
        return {"error": "not asked"}


FORGETFUL: Memory = Forgetful()


class Recall:
    """A memory seen through one decision: each value is read once, and what was read is kept.

    Filled with what an earlier decision read, it replays that decision.
    """

    __slots__ = ("_memory", "reads")

    def __init__(self, memory: Memory, reads: dict[tuple[str, Any], Any] | None = None) -> None:
        self._memory = memory
        self.reads: dict[tuple[str, Any], Any] = {} if reads is None else reads

    def turn(self, key: str) -> int:
        """Return the turns that were seen first under ``key``."""
        return int(self._read("turn", key))

    def pin(self, key: str) -> str | None:
        """Return the pin that was seen first under ``key``."""
        found: str | None = self._read("pin", key)
        return found

    def usage(self, key: str) -> float:
        """Return the count that was seen first under ``key``."""
        return float(self._read("usage", key))

    def usages(self, keys: tuple[str, ...]) -> tuple[float, ...]:
        """Return the counts that were seen first under ``keys``."""
        found: tuple[float, ...] = self._read("usages", keys)
        return found

    def shared(self, key: str) -> bool:
        """Tell whether counts were shared when that was asked first."""
        return bool(self._read("shared", key))

    def verdict(self, hook: Hook) -> Mapping[str, Any]:
        """Return the verdict that was seen first; raises Pending as the memory does."""
        found: Mapping[str, Any] = self._read("verdict", hook)
        return found

    def _read(self, kind: str, key: Any) -> Any:
        known = self.reads.get((kind, key), self)
        if known is self:
            known = self.reads[kind, key] = getattr(self._memory, kind)(key)
        return known
