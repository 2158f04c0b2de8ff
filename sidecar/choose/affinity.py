"""Affinity: which targets a key prefers, in which order, and what to do without a key."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import msgspec

from sidecar.choose.definition import Site, label
from sidecar.choose.rendezvous import Rendezvous, key_text, short
from sidecar.choose.seats import Seats
from sidecar.choose.weights import Weighted
from sidecar.model import Candidate, Context, Leaf, Ranking, Router

Subjects = str | Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=8)]
Missing = Literal["random", "first", "fail"]
KeyReader = Callable[[Context], str | None]

_NO_KEY = Ranking(())


class Keyed(Weighted, frozen=True, kw_only=True):
    """What documents of routers have in common that choose by a `key` of the request.

    `key`: a SUBJECT, or several of them, which count together. `missing`: what becomes of a
    request without the key (or without one of several).
    """

    spread: ClassVar = True

    key: Subjects
    missing: Missing = "random"

    def reader(self, site: Site) -> KeyReader | None:
        """Return what reads the key's text; what is wrong with a SUBJECT is noted as a fault."""
        several = not isinstance(self.key, str)
        subjects = [self.key] if isinstance(self.key, str) else self.key
        compiled = [
            site.accessor(subject, f".key[{n}]" if several else ".key")
            for n, subject in enumerate(subjects)
        ]
        accessors = [accessor for accessor in compiled if accessor is not None]
        if len(accessors) < len(compiled):
            return None
        if not several:
            (only,) = accessors
            return lambda context: short(key_text(only(context)))
        return lambda context: _together([key_text(read(context)) for read in accessors])


class Affinity(msgspec.Struct, frozen=True):
    """Ranks targets by weighted rendezvous, and the backends of one target by another."""

    seats: Seats
    weights: tuple[float, ...]
    targets: Rendezvous
    backends: Mapping[int, Rendezvous]
    """Place of a target of several backends → their arms."""
    missing: Missing

    @classmethod
    def of(
        cls,
        salt: str,
        targets: Sequence[Leaf | Router],
        weights: Sequence[float],
        missing: Missing,
    ) -> "Affinity":
        """Prepare the arms; targets of one label are told apart by their order."""
        seats, labels = Seats.of(targets), [label(target) for target in targets]
        backends = {
            place: Rendezvous.of(
                # Not the salt alone: a backend may be a target of its own as well.
                f"{salt}/{labels[place]}",
                [seats.names[seat] for seat in own],
                [1.0] * len(own),
            )
            for place, own in enumerate(seats.of_place)
            if len(own) > 1
        }
        return cls(seats, tuple(weights), Rendezvous.of(salt, labels, weights), backends, missing)

    def order(self, key: str, found: Mapping[int, Candidate]) -> list[int]:
        """Return the seats of those who are there, as ``key`` prefers them."""
        order: list[int] = []
        for place in self.targets.rank(key):
            inner = self.backends.get(place)
            own = self.seats.of_place[place]
            order += own if inner is None else [own[at] for at in inner.rank(key)]
        return order if len(found) == len(order) else [seat for seat in order if seat in found]

    def share(self, first: int, found: Iterable[int]) -> float:
        """Return the share of all keys that prefer ``first`` to the rest of ``found``."""
        places = [self.seats.places[seat] for seat in found]
        place = self.seats.places[first]
        total = math.fsum([self.weights[each] for each in set(places)])
        # Nobody has a weight: the first in the order of the targets is everybody's.
        part = self.weights[place] / total if total else 1.0
        return part / places.count(place)

    def keyless(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return what `missing` says: the ranking of a random key, as listed, or nobody."""
        if context.trail is not None:
            context.trail.note("missing", self.missing)
        if self.missing == "first":
            return Ranking(candidates)
        if self.missing == "fail":
            return _NO_KEY
        found = self.seats.taken(candidates)
        order = self.order(str(context.entropy.uniform()), found)
        return Ranking([found[seat] for seat in order], self.share(order[0], found))

    def explain(self, key: str, found: Mapping[int, Candidate], context: Context) -> None:
        """Note the score of each candidate's target, if somebody asked why."""
        if context.trail is None:
            return
        scores = {place: -cost for cost, place in self.targets.costs(key)}
        for seat, candidate in found.items():
            place = self.seats.places[seat]
            score = scores.get(place, 0.0)
            context.trail.score(candidate, score, weight=self.weights[place])


def _together(texts: Sequence[str | None]) -> str | None:
    """Return one text for several; ``None`` if any is missing."""
    return None if None in texts else short(json.dumps(texts, separators=(",", ":")))
