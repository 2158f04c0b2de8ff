"""`round_robin`: one after the other, each as often as its weight says, evenly spread."""

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from fractions import Fraction
from hashlib import blake2b
from typing import ClassVar

import msgspec

from sidecar.choose.cycle import smooth, whole
from sidecar.choose.definition import Arm, Site, label
from sidecar.choose.seats import Seats
from sidecar.choose.weights import Weighted
from sidecar.model import Candidate, Context, Leaf, Ranking, Router, Strategy, TakeTurn

_MOST_SUBSETS = 256


class Turns(msgspec.Struct, frozen=True):
    """Takes the seat whose turn it is; how many turns were taken is in the memory."""

    key: str
    seats: Seats
    cycle: tuple[int, ...]
    """The seats in the order of their turns."""
    turns: tuple[tuple[int, ...], ...]
    """Seat → its turns in the cycle, ascending."""
    subsets: dict[int, tuple[int, ...]]
    """Bits of the seats that are there → the turns that they have; filled when it is needed."""

    @classmethod
    def of(cls, key: str, seats: Seats, weights: Sequence[float]) -> "Turns":
        """Prepare the cycle; the seats of one target share its weight evenly."""
        parts = [(weights[place], len(seats.of_place[place])) for place in seats.places]
        # As text: 0.1 means a tenth, which no float is.
        exact = {part: Fraction(str(part[0])) / part[1] for part in set(parts)}
        shares = [exact[part] for part in parts]
        cycle = tuple(smooth(whole(shares)))
        turns: list[list[int]] = [[] for _ in shares]
        for turn, seat in enumerate(cycle):
            turns[seat].append(turn)
        return cls(key, seats, cycle, tuple(map(tuple, turns)), {})

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return the one whose turn it is, then the others in the order of their next turns.

        Without some of its seats a router goes another circle, made of the turns of those that
        are there, so that what is missing is shared by weight and no circle disturbs another.
        """
        found = self.seats.taken(candidates)
        key, circle = self._circle(found)
        if not circle:
            return Ranking(candidates)
        taken = context.memory.turn(key)
        turn = circle[taken % len(circle)]
        if context.trail is not None:
            context.trail.note("turn", taken)
            context.trail.note("circle", [self.seats.names[self.cycle[at]] for at in circle[:50]])
        order = sorted(found, key=lambda seat: self._waits(seat, turn))
        return Ranking([found[seat] for seat in order], 1.0, (TakeTurn(key),))

    def _circle(self, found: Mapping[int, Candidate]) -> tuple[str, Sequence[int]]:
        """Return the key of the circle of those who are there, and its turns in the cycle."""
        if len(found) == len(self.turns):
            return self.key, range(len(self.cycle))
        bits = sum([1 << seat for seat in found])
        circle = self.subsets.get(bits)
        if circle is None:
            if len(self.subsets) >= _MOST_SUBSETS:
                self.subsets.clear()
            circle = tuple(sorted(turn for seat in found for turn in self.turns[seat]))
            self.subsets[bits] = circle
        return f"{self.key}/{bits:x}", circle

    def _waits(self, seat: int, turn: int) -> int:
        """Return how many turns from ``turn`` on pass before ``seat`` has its next."""
        turns = self.turns[seat]
        if not turns:
            return len(self.cycle) + seat
        index = bisect_left(turns, turn)
        return turns[index] - turn if index < len(turns) else turns[0] + len(self.cycle) - turn


class RoundRobin(Weighted, frozen=True, kw_only=True):
    """The document of a `round_robin` router."""

    names: ClassVar = ("round_robin",)
    spread: ClassVar = True

    def strategy(
        self, site: Site, arms: Sequence[Arm], targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the turns, kept under a key that edits of other rules do not change."""
        weights = [arm.weight for arm in arms]
        what = json.dumps([site.strict, site.name, [label(target) for target in targets], weights])
        key = blake2b(what.encode(), digest_size=16).hexdigest()
        return Turns.of(key, Seats.of(targets), weights)
