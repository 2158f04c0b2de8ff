"""`least_busy`: the fewest requests in flight, by weight, over all nodes."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import inf
from typing import ClassVar

import msgspec

from sidecar.choose.definition import Arm, Site
from sidecar.choose.weights import Weighted
from sidecar.model import (
    BackendStats,
    Candidate,
    Context,
    Leaf,
    Ranking,
    Router,
    Stats,
    Strategy,
    Trail,
    WindowStats,
)

STALE_SECONDS = 1.0
"""How old the number of requests in flight gets: it is read from Envoy once a second."""

_UNSEEN, _NO_WINDOW = BackendStats(), WindowStats()


class ByLoad(msgspec.Struct, frozen=True):
    """Ranks by load, which is requests in flight divided by weight."""

    weights: tuple[float, ...]

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Draw the first by its share, see `_shares`; the others follow by load.

        Equal ones keep the order of the targets, and those without a weight are last.
        """
        weights = [self.weights[candidate.place] for candidate in candidates]
        if not any(weights):
            weights = [1.0] * len(weights)
        busy, arriving = _work(candidates, context.stats)
        loads = [n / weight if weight else inf for n, weight in zip(busy, weights, strict=True)]
        places = sorted(range(len(loads)), key=loads.__getitem__)
        shares = _shares([loads[p] for p in places], [weights[p] for p in places], arriving)
        drawn = _drawn(shares, context)
        if context.trail is not None:
            _note(candidates, loads, busy, arriving, context.trail)
        order = [candidates[place] for place in places]
        order.insert(0, order.pop(drawn))
        return Ranking(order, shares[drawn])


class LeastBusy(Weighted, frozen=True, kw_only=True):
    """The document of a `least_busy` router; `weights` say how much each target can take."""

    names: ClassVar = ("least_busy",)
    spread: ClassVar = True

    def strategy(
        self, _site: Site, arms: Sequence[Arm], _targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the ranking by load."""
        return ByLoad(tuple(arm.weight for arm in arms))


def _work(candidates: Sequence[Candidate], stats: Stats) -> tuple[list[int], float]:
    """Return requests in flight, and how many more are to come until that number is read again.

    As many are expected as the last minute had on average.
    """
    names = [candidate.plan.attempts[0].backend.name for candidate in candidates]
    found = {name: stats.backends.get(name, _UNSEEN) for name in names}
    recent = sum(one.windows.get("1m", _NO_WINDOW).requests for one in found.values())
    return [found[name].in_flight for name in names], recent / 60 * STALE_SECONDS


def _shares(loads: Sequence[float], weights: Sequence[float], arriving: float) -> list[float]:
    """Return the shares of the first few of ``loads``, which ascend, in the next requests.

    What arrives before anybody sees what it does to the load must not all go to the one that has
    the least: it is shared so that it would fill all lower ones up to one level, each as fast as
    its weight. (Basic load interpretation: Dahlin, "Interpreting Stale Load Information", 1999.)
    Without anything to arrive, those with the least load share by weight.
    """
    gaps: list[float] = []
    width, volume, level = 0.0, arriving, 0.0
    for load, weight in zip(loads, weights, strict=True):
        gap = load - loads[0]
        if gap > level and gaps:
            break
        gaps.append(gap)
        width += weight
        volume += weight * gap
        level = volume / width
    parts = [
        weight * (max(level - gap, 0.0) if arriving else 1.0)
        for gap, weight in zip(gaps, weights, strict=False)
    ]
    total = sum(parts)
    return [part / total for part in parts if part]


def _drawn(shares: Sequence[float], context: Context) -> int:
    if len(shares) == 1:
        return 0
    bounds = [*accumulate(shares)]
    return bisect_right(bounds, context.entropy.uniform() * bounds[-1], 0, len(bounds) - 1)


def _note(
    candidates: Sequence[Candidate],
    loads: Sequence[float],
    busy: Sequence[int],
    arriving: float,
    trail: Trail,
) -> None:
    trail.note("arriving", arriving)
    for candidate, load, count in zip(candidates, loads, busy, strict=True):
        trail.score(candidate, None if load == inf else load, in_flight=count)
