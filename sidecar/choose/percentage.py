"""`percentage` (alias `a_b_testing`): arms by weight, drawn anew or sticky by a request field."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, ClassVar

import msgspec

from sidecar.choose.definition import Arm, Definition, Site, label
from sidecar.choose.rendezvous import Rendezvous, key_text
from sidecar.choose.weights import check_weights, weighed
from sidecar.model import Accessor, Candidate, Context, Leaf, Ranking, Router, Strategy, Trail


class Shares(msgspec.Struct, frozen=True):
    """Draws an arm over all weights, so that an arm that is out shifts no other assignment."""

    weights: tuple[float, ...]
    bounds: tuple[float, ...]
    """Running sums of the weights."""
    last: int
    """The last place that has a weight."""
    position: tuple[int, ...]
    """Place → rank by weight, heaviest first; equal weights keep their order."""
    key: Accessor | None
    rendezvous: Rendezvous | None

    @classmethod
    def of(
        cls, weights: Sequence[float], key: Accessor | None, rendezvous: Rendezvous | None
    ) -> "Shares":
        """Prepare the draw; at least one weight is positive."""
        places = range(len(weights))
        heaviest = sorted(places, key=lambda place: -weights[place])
        ranks = {place: rank for rank, place in enumerate(heaviest)}
        return cls(
            weights=tuple(weights),
            bounds=tuple(accumulate(weights)),
            last=max(place for place in places if weights[place] > 0),
            position=tuple(ranks[place] for place in places),
            key=key,
            rendezvous=rendezvous,
        )

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return the drawn arm first, then the others by weight.

        When the drawn arm is out, its share goes to the heaviest that is left.
        """
        key = None if self.key is None else key_text(self.key(context))
        place = self._draw(key, context)
        if context.trail is not None:
            self._note(key, candidates, context.trail)
        position = self.position
        order = sorted(candidates, key=lambda candidate: position[candidate.place])
        heaviest = order[0].place
        for index, candidate in enumerate(order):
            if candidate.place == place:
                order.insert(0, order.pop(index))
                break
        share = self.weights[order[0].place]
        if len(order) < len(position) and order[0].place == heaviest:
            share += self._absent(order)
        return Ranking(order, min(share / self.bounds[-1], 1.0))

    def _draw(self, key: str | None, context: Context) -> int:
        if key is not None and self.rendezvous is not None:
            return self.rendezvous.find(key)
        drawn = context.entropy.uniform() * self.bounds[-1]
        return bisect_right(self.bounds, drawn, 0, self.last)

    def _note(self, key: str | None, candidates: Sequence[Candidate], trail: Trail) -> None:
        if self.key is not None:
            trail.note("key", key)
        for candidate in candidates:
            weight = self.weights[candidate.place]
            trail.score(candidate, weight / self.bounds[-1], weight=weight)

    def _absent(self, order: Sequence[Candidate]) -> float:
        present = {candidate.place for candidate in order}
        return math.fsum(w for place, w in enumerate(self.weights) if place not in present)


class Percentage(Definition, frozen=True, kw_only=True):
    """The document of a `percentage` router: parallel lists, or `model_a`, `model_b`, … pairs.

    `key`: a SUBJECT that makes the choice sticky; `salt`: what else is hashed with it.
    """

    names: ClassVar = ("percentage", "a_b_testing")
    prefixes: ClassVar = ("model_",)

    targets_percentages: tuple[float, ...] = ()
    key: str | None = None
    salt: str | None = None

    def arms(self, site: Site) -> list[Arm]:
        """Return the arms of whichever form is used; the weights are in no need of a sum."""
        names = sorted(
            (key for key in site.document if key.startswith("model_")),
            key=lambda name: (len(name), name),
        )
        if not names:
            return self._listed(site)
        if self.targets or self.targets_percentages:
            site.fault("", f"has both targets and {names[0]}; use one form")
        arms = [arm for name in names if (arm := _pair(name, site.document[name], site))]
        if len(arms) == len(names):
            check_weights(site, "", [(arm.where.replace("[0]", "[1]"), arm.weight) for arm in arms])
        return arms

    def _listed(self, site: Site) -> list[Arm]:
        return weighed(super().arms(site), self.targets_percentages, site, "targets_percentages")

    def strategy(
        self, site: Site, arms: Sequence[Arm], targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the draw; a key that does not compile is noted as a fault."""
        weights = [arm.weight for arm in arms]
        key = None if self.key is None else site.accessor(self.key, ".key")
        if key is None:
            return Shares.of(weights, None, None)
        salt = site.name if self.salt is None else self.salt
        rendezvous = Rendezvous.of(salt, [label(target) for target in targets], weights)
        return Shares.of(weights, key, rendezvous)


def _pair(name: str, value: Any, site: Site) -> Arm | None:
    try:
        target, weight = msgspec.convert(value, tuple[Any, float])
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        site.fault(f".{name}{where.strip('`$')}", f"{what}; a pair is [target, weight]")
        return None
    return Arm(f".{name}[0]", target, weight)
