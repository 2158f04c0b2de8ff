"""Which part of the line from 0 to 100 belongs to which arm of an experiment, given only shares.

A unit's hash is a place on the line, and nothing about units is stored, so that whoever changes arm
when shares change is settled here alone. The first arm is the control, the others are candidates:

- each candidate has a cell of its own, as wide as all others, and fills it from its upper end
  downwards;
- a candidate that is wider than its cell goes on at the upper ends of the cells behind it;
- the control fills all cells at once from their lower ends upwards, as far as it has to;
- what is left over lies between them.

So with two arms one grows from 0 upwards and the other from 100 downwards. What this gives
(`tests/unit/choose/test_stretches.py`), when ``d`` percent change hands:

- Between an arm and what is left over, exactly ``d`` moves, and only between these two: always with
  one or two arms; with more as long as no candidate gets more than its part of what the control
  leaves, (100 - control) / candidates.
- Between the control and a candidate when nothing is left over, exactly ``d`` moves, and only
  between these two: always with two arms; with more as long as no candidate outgrows its cell.
- Otherwise at most ``d`` times the number of arms moves, and 3 times ``d`` as long as no candidate
  outgrows its cell.

More is not to be had without a table. If each arm's raise took from what is left over alone, the
part of an arm would depend on its own share alone: A(s) for one and B(s) for another arm. With A at
s and B at 100 - s they would fill the line, so B(100 - s) is what A(s) leaves. The same holds for a
third arm C, so B(s) = C(s), and both cannot have s at once. In the same way, with something left
over, ``d`` cannot go straight from A to B: A and B would both have to change without a change of
what lies between them.
"""

from collections.abc import Sequence
from typing import NamedTuple

LINE = 100.0
_SLIVER = 1e-9
"""Below the precision of sums of percentages: 33.3 + 33.3 + 33.4 are not quite 100."""


class Stretch(NamedTuple):
    """From ``start`` up to ``end`` the line is the arm's."""

    start: float
    end: float
    arm: int


def stretches(shares: Sequence[float]) -> list[Stretch]:
    """Return the stretches of all arms, ascending; ``shares`` are percentages, 100 at most."""
    control, *candidates = shares
    count = max(1, len(candidates))
    width = LINE / count
    tops = [width] * count
    found: list[Stretch] = []

    def fill(cell: int, arm: int, wanted: float) -> float:
        """Give the upper end of what is free in a cell to an arm; return what it did not get."""
        top, taken = tops[cell], min(wanted, tops[cell])
        if taken > _SLIVER:
            base = cell * width
            found.append(Stretch(base + top - taken, base + top, arm))
            tops[cell] = top - taken
        return wanted - taken

    missing = [fill(cell, cell + 1, share) for cell, share in enumerate(candidates)]
    for own in range(len(candidates)):
        for step in range(1, count):
            if missing[own] > _SLIVER:
                missing[own] = fill((own + step) % count, own + 1, missing[own])
    level = _level(tops, control)
    for cell, top in enumerate(tops):
        end = min(level, top)
        if end > _SLIVER:
            found.append(Stretch(cell * width, cell * width + end, 0))
    return sorted(found)


def _level(tops: Sequence[float], amount: float) -> float:
    """Return how high ``amount`` stands when it is poured into vessels of these heights."""
    level = 0.0
    for place, top in enumerate(sorted(tops)):
        vessels = len(tops) - place
        rise = min(top - level, amount / vessels)
        level += rise
        amount -= rise * vessels
    return level
