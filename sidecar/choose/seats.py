"""Seats: what a spreading router can choose from, numbered when it is built.

A target of several backends has a seat for each of those that are enabled, every other target
has one. Strategies that remember or hash must know a candidate again, whoever else is there.
"""

from collections.abc import Mapping, Sequence

import msgspec

from sidecar.choose.definition import label
from sidecar.model import Candidate, Leaf, Router


class Seats(msgspec.Struct, frozen=True):
    """The seats of a router's targets."""

    names: tuple[str, ...]
    """Seat → backend or `router/<name>`; the n-th seat of the same name, from 0, ends in `#n`."""
    places: tuple[int, ...]
    """Seat → place of its target."""
    of_place: tuple[tuple[int, ...], ...]
    """Place → its seats."""
    numbers: Mapping[tuple[int, str], int]
    """Place and backend → seat; of routers the backend is the empty text."""
    routers: frozenset[int]
    """Places of routers."""

    @classmethod
    def of(cls, targets: Sequence[Leaf | Router]) -> "Seats":
        """Number the seats in the order of the targets, those of one target by priority."""
        numbers: dict[tuple[int, str], int] = {}
        names: list[str] = []
        seen: dict[str, int] = {}
        for place, target in enumerate(targets):
            for backend in _backends(target):
                numbers[place, backend] = len(names)
                name = backend or label(target)
                seen[name] = nth = seen.get(name, -1) + 1
                names.append(f"{name}#{nth}" if nth else name)
        grouped: list[list[int]] = [[] for _ in targets]
        for (place, _), seat in numbers.items():
            grouped[place].append(seat)
        routers = [place for place, target in enumerate(targets) if isinstance(target, Router)]
        return cls(
            names=tuple(names),
            places=tuple(place for place, _ in numbers),
            of_place=tuple(map(tuple, grouped)),
            numbers=numbers,
            routers=frozenset(routers),
        )

    def taken(self, candidates: Sequence[Candidate]) -> dict[int, Candidate]:
        """Return seat → candidate."""
        numbers, routers = self.numbers, self.routers
        return {
            numbers[one[0], "" if one[0] in routers else one[2][0][0].backend.name]: one
            for one in candidates
        }


def _backends(target: Leaf | Router) -> list[str]:
    if isinstance(target, Router):
        return [""]
    enabled = [backend for backend in target.backends if backend.enabled]
    enabled.sort(key=lambda backend: (backend.priority, backend.name))
    return [backend.name for backend in enabled]
