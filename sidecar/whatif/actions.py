"""How likely a configuration sends a request to each backend first."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sidecar.model import FORGETFUL, Entropy, Memory, Snapshot, Stats
from sidecar.whatif.records import Record
from sidecar.whatif.replay import CannotTell, Choice, replay

FEW, MANY = 16, 128
"""Decisions of the grid; the second when the first has not found everything."""
_TOLERANCE = 1e-9
_STEPS = tuple(math.sqrt(prime) % 1 for prime in (2, 3, 5, 7, 11, 13, 17, 19))


class Actions(NamedTuple):
    """First backend → probability, which add up to 1.

    ``exact``: from the draw's own probabilities, else from the grid. ``sticky``: the request's key
    chose, without a draw, a backend that has this share of all keys; ``probabilities`` then say
    what this very key gets.
    """

    probabilities: Mapping[str, float]
    exact: bool
    sticky: Choice | None = None


class GridEntropy(Entropy):
    """Draws that cover [0, 1) evenly over the ``size`` places of a grid, each draw on its own.

    The first is the middle of the place's cell; each further one is of a Kronecker sequence
    (Niederreiter, "Random number generation and quasi-Monte Carlo methods", 1992), shifted by the
    seed's number.
    """

    __slots__ = ("_place", "_size", "drawn")

    def __init__(self, place: int, size: int, seed: int) -> None:
        super().__init__(seed)
        self._place, self._size = place, size
        self.drawn = 0

    def uniform(self) -> float:
        """Return the next number in [0, 1)."""
        self.drawn += 1
        if self.drawn == 1:
            return (self._place + 0.5) / self._size
        step = _STEPS[self.drawn % len(_STEPS)]
        return (super().uniform() + self._place * step) % 1.0


def action_probabilities(
    snapshot: Snapshot, stats: Stats, record: Record, memory: Memory = FORGETFUL
) -> Actions | CannotTell:
    """Return with which probability ``record`` goes to each backend first (`REFUSED`: to none).

    A plan that draws nothing is certain. One that draws once states its probabilities, so that it
    is enough to meet each outcome once; if what was met does not add up to 1 (an arm smaller than
    the grid, two arms with one backend), or there are more draws, it is the share of MANY decisions
    with draws evenly over [0, 1), shifted by the record's seed: the same whenever it is asked,
    wrong by at most 1 / MANY for one draw, and by a few per cent for several.
    """
    met: list[Choice] = []
    for size in (FEW, MANY):
        met.clear()
        most = 0
        for choice, drawn in _grid(snapshot, stats, record, memory, size):
            if isinstance(choice, CannotTell):
                return choice
            if not drawn:
                sticky = choice if choice.probability < 1 - _TOLERANCE else None
                return Actions({choice.backend: 1.0}, exact=True, sticky=sticky)
            met.append(choice)
            most = max(most, drawn)
        if most == 1 and (exact := _stated(met)):
            return Actions(exact, exact=True)
    return Actions(_counted(met), exact=False)


def _grid(
    snapshot: Snapshot, stats: Stats, record: Record, memory: Memory, size: int
) -> Iterator[tuple[Choice | CannotTell, int]]:
    for place in range(size):
        entropy = GridEntropy(place, size, record.seed)
        yield replay(snapshot, stats, record, memory, entropy), entropy.drawn


def _stated(met: list[Choice]) -> dict[str, float] | None:
    """Return the probabilities that plans state, if they are those of all outcomes."""
    found: dict[str, float] = {}
    outcomes = {(one.route, one.backend, one.strategy, one.probability) for one in met}
    for _, backend, _, probability in sorted(outcomes):
        found[backend] = found.get(backend, 0.0) + probability
    return found if abs(sum(found.values()) - 1) < _TOLERANCE else None


def _counted(met: list[Choice]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in met:
        found[one.backend] = found.get(one.backend, 0.0) + 1 / len(met)
    return found
