"""Two arms made comparable: over all stretches of time, with the same weights.

An arm comes as one entry for each stretch in which the shares stayed the same; the lists are
parallel. Stretches are compared within themselves and weighted by n m / (n + m) (Mantel and
Haenszel 1959): an hour in which everything was slow, and in which the canary happened to have
more of the traffic, does not count against the canary.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sidecar.evidence.boundary import mixing, mixture_radius
from sidecar.evidence.sums import Moments, Proportion, Ratio

Averaged = Moments | Proportion | Ratio

FEWEST = 100
"""Values in each arm below which an asymptotic interval says nothing."""
FEW_EVENTS = 10
"""Events, and non-events, in each arm below which two proportions are compared exactly only."""
MANY_EVENTS = 40
"""The same, from which on they are compared asymptotically only: exact bounds add nothing then."""


class Point(NamedTuple):
    """An estimate of one arm over all stretches."""

    n: float
    value: float
    variance: float
    """Of the estimate, not of one value."""
    spread: float
    """The variance of one value."""


class Comparison(NamedTuple):
    """Both arms, weighted alike."""

    control: Point
    candidate: Point
    weight: float
    """The sum of n m / (n + m): the size of the comparison, in values."""

    @property
    def n(self) -> float:
        """The values of both."""
        return self.control.n + self.candidate.n


def compare(control: Sequence[Averaged], candidate: Sequence[Averaged]) -> Comparison | None:
    """Return both arms over the stretches in which both have values; None when there are none."""
    usable = [
        (mine, theirs)
        for mine, theirs in zip(control, candidate, strict=True)
        if _tells(mine) and _tells(theirs)
    ]
    if not usable:
        return None
    weights = [weight(mine.n, theirs.n) for mine, theirs in usable]
    ours = _point([mine for mine, _ in usable], weights)
    theirs = _point([theirs for _, theirs in usable], weights)
    return Comparison(ours, theirs, sum(weights))


def weight(n: float, m: float) -> float:
    """Return n m / (n + m); 0 of nothing."""
    return n * m / (n + m) if n > 0 and m > 0 else 0.0


def logarithmic(both: Comparison) -> Comparison | None:
    """Return the comparison of the logarithms (delta method); None when a value is not above 0."""
    if both.control.value <= 0 or both.candidate.value <= 0:
        return None
    return Comparison(_log(both.control), _log(both.candidate), both.weight)


def radius(both: Comparison, alpha: float, tight_at: float) -> float | None:
    """Return the half-width for the difference of two points, None when nothing can be said.

    The weighted sum of differences is a martingale whatever the shares were, with variance
    ``weight^2 x (variance of the difference)``; eta is that over the variance at ``weight`` = 1.
    """
    variance = both.control.variance + both.candidate.variance
    spread = (both.control.spread + both.candidate.spread) / 2
    if min(both.control.n, both.candidate.n) < FEWEST or not variance > 0:
        return None
    eta = mixing(alpha, tight_at) * variance * both.weight**2 / spread
    return float(mixture_radius(variance, eta, alpha))


def events(both: Comparison) -> float:
    """Return the least number of events, or of non-events, that an arm has seen."""
    arms = (both.control, both.candidate)
    return min(min(arm.value, 1 - arm.value) * arm.n for arm in arms)


def _tells(arm: Averaged) -> bool:
    return arm.n >= (1 if isinstance(arm, Proportion) else 2) and math.isfinite(arm.mean)


def _point(parts: Sequence[Averaged], weights: Sequence[float]) -> Point:
    whole = sum(weights)
    value = variance = spread = n = 0.0
    for part, own in zip(parts, weights, strict=True):
        one, share = one_variance(part), own / whole
        n += part.n
        value += share * part.mean
        variance += share**2 * one / part.n
        spread += share * one
    return Point(n, value, variance, spread)


def one_variance(arm: Averaged) -> float:
    """Return the variance of one value.

    Of a proportion with half an event more: a short stretch without events is not one that
    cannot have any.
    """
    if not isinstance(arm, Proportion):
        return arm.variance
    share = (arm.total + 0.5) / (arm.n + 1)
    return share * (1 - share)


def _log(point: Point) -> Point:
    by = point.value**-2
    return Point(point.n, math.log(point.value), point.variance * by, point.spread * by)
