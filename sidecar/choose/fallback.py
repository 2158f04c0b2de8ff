"""`fallback`: the targets in the order in which they are listed."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from sidecar.choose.definition import Arm, Definition, Site
from sidecar.model import Candidate, Context, Leaf, Ranking, Router, Strategy


class AsListed(msgspec.Struct, frozen=True):
    """Leaves the candidates as they are."""

    def rank(self, candidates: Sequence[Candidate], _context: Context) -> Ranking:
        """Return the candidates in the order of their places."""
        return Ranking(candidates)


class Fallback(Definition, frozen=True, kw_only=True):
    """The document of a `fallback` router; it has no parameters of its own."""

    names: ClassVar = ("fallback",)
    lazy: ClassVar = True

    def strategy(
        self, _site: Site, _arms: Sequence[Arm], _targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the order as listed."""
        return AsListed()
