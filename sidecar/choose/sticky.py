"""`sticky`: the same value of a request's field goes to the same target, on every node."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from sidecar.choose.affinity import Affinity, Keyed, KeyReader, Subjects
from sidecar.choose.definition import Arm, Site
from sidecar.choose.fallback import AsListed
from sidecar.model import Candidate, Context, Leaf, Ranking, Router, Strategy


class ByKey(msgspec.Struct, frozen=True):
    """Ranks by the key alone, so everybody agrees without talking."""

    read: KeyReader
    affinity: Affinity

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return the key's first choice, its second, and so on.

        Probability: the share of all keys that have this first choice among those available.
        """
        key = self.read(context)
        if key is None:
            return self.affinity.keyless(candidates, context)
        found = self.affinity.seats.taken(candidates)
        if context.trail is not None:
            context.trail.note("key", key)
            self.affinity.explain(key, found, context)
        order = self.affinity.order(key, found)
        return Ranking([found[seat] for seat in order], self.affinity.share(order[0], found))


class Sticky(Keyed, frozen=True, kw_only=True):
    """The document of a `sticky` router; `salt`: what else is hashed with the key."""

    names: ClassVar = ("sticky",)

    key: Subjects = "user.id"
    salt: str | None = None

    def strategy(
        self, site: Site, arms: Sequence[Arm], targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the ranking by key."""
        read = self.reader(site)
        if read is None:
            return AsListed()
        salt = site.name if self.salt is None else self.salt
        weights = [arm.weight for arm in arms]
        return ByKey(read, Affinity.of(salt, targets, weights, self.missing))
