"""Past requests decided again, by rules of today or of tomorrow, with the draws of then."""

from collections.abc import Sequence
from typing import NamedTuple

from sidecar.decide import plan_in
from sidecar.errors import RequestError
from sidecar.model import (
    FORGETFUL,
    Context,
    Effect,
    Entropy,
    Memory,
    Plan,
    SetPin,
    Snapshot,
    Stats,
    TakeTurn,
)
from sidecar.whatif.recorded import RecordedMemory, RecordedRequest, Unknown
from sidecar.whatif.records import Record

REFUSED = "(refused)"
"""What stands for a backend when there is none."""


class CannotTell(NamedTuple):
    """Facts that the decision needs and that were not recorded."""

    facts: tuple[str, ...]


class Choice(NamedTuple):
    """What is decided: the route and the backend that is tried first.

    ``probability`` is that of drawing it. ``plan`` is ``None`` for a refusal, whose code is in
    ``refusal``, and for a choice of then.
    """

    route: str
    backend: str
    probability: float = 1.0
    strategy: str = ""
    plan: Plan | None = None
    refusal: str = ""
    warnings: tuple[str, ...] = ()


class Simulated:
    """The turns and pins that the replayed decisions themselves would have left behind."""

    def __init__(self) -> None:
        self._turns: dict[str, int] = {}
        self._pins: dict[str, tuple[str, float]] = {}
        self._now = 0.0

    def at(self, now: float) -> "Simulated":
        """Return this memory as of ``now``, which only grows."""
        self._now = now
        return self

    def turn(self, key: str) -> int:
        """Return the turns taken in the replay."""
        return self._turns.get(key, 0)

    def pin(self, key: str) -> str | None:
        """Return what the replay pinned, until it is over."""
        target, until = self._pins.get(key, (None, 0.0))
        return target if self._now < until else None

    usage = staticmethod(FORGETFUL.usage)
    usages = staticmethod(FORGETFUL.usages)
    shared = staticmethod(FORGETFUL.shared)
    verdict = staticmethod(FORGETFUL.verdict)

    def apply(self, effects: Sequence[Effect]) -> None:
        """Remember what a replayed decision wants to be remembered."""
        for effect in effects:
            match effect:
                case TakeTurn(key):
                    self._turns[key] = self._turns.get(key, 0) + 1
                case SetPin(key, target, seconds):
                    self._pins[key] = target, self._now + seconds


def replay(
    snapshot: Snapshot,
    stats: Stats,
    record: Record,
    memory: Memory = FORGETFUL,
    entropy: Entropy | None = None,
) -> Choice | CannotTell:
    """Decide ``record`` again by ``snapshot`` as of then, with the seed of then or ``entropy``.

    ``memory``: where turns and pins come from that were not read then.
    """
    request = RecordedRequest(record.facts, snapshot.keys, snapshot.headers)
    touched, warnings = request.touched, list[str]()
    past = RecordedMemory(record.facts, touched, memory)
    drawn = entropy or Entropy(record.seed)
    choice: Choice | None = None
    try:
        context = Context(request, stats, drawn, record.now, past, warnings=warnings, assigned=[])
        route, plan = plan_in(snapshot, context)
        choice = _chosen(route, plan, warnings)
    except RequestError as error:
        choice = Choice(REFUSED, REFUSED, refusal=error.code, warnings=tuple(warnings))
    except Unknown:
        pass
    # Also when somebody swallowed the exception and went on without the fact.
    return choice if choice and not touched.facts else CannotTell(tuple(sorted(touched.facts)))


def _chosen(route: str, plan: Plan, warnings: Sequence[str]) -> Choice:
    backend = plan.attempts[0].backend.name
    return Choice(route, backend, plan.probability, plan.strategy, plan, "", tuple(warnings))
