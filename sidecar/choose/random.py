"""`random`: every backend is equally likely, in an order that is drawn anew."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from sidecar.choose.definition import Arm, Definition, Site
from sidecar.model import MAX_ATTEMPTS, Candidate, Context, Leaf, Ranking, Router, Strategy


class Shuffled(msgspec.Struct, frozen=True):
    """Draws a permutation."""

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return a uniform permutation (Fisher and Yates; Durstenfeld, CACM 1964, no. 235).

        Only the places that a plan can hold are drawn; what lies behind them is never tried.
        """
        order = list(candidates)
        count = len(order)
        for place in range(min(count - 1, MAX_ATTEMPTS)):
            drawn = place + int(context.entropy.uniform() * (count - place))
            order[place], order[drawn] = order[drawn], order[place]
        return Ranking(order, 1 / count)


class Random(Definition, frozen=True, kw_only=True):
    """The document of a `random` router; it has no parameters of its own."""

    names: ClassVar = ("random",)
    spread: ClassVar = True

    def strategy(
        self, _site: Site, _arms: Sequence[Arm], _targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the draw."""
        return Shuffled()
