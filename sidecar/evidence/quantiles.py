"""Time-uniform intervals of quantiles, and of their differences and ratios, from histograms.

Whether a value lies at or below the true p-quantile is a coin of probability p, so the
beta-binomial martingale tells for each place on the scale whether the quantile can be there
(Howard and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and
best-arm identification", Bernoulli 2022, the beta-binomial case of theorem 1). It needs no
assumption about the distribution. Of a bucket only its bounds are known, so every interval is
rounded outwards.

Two arms are compared by the pairs of places against which the product of both martingales stays
below 1 / alpha. That is never wider than two intervals of alpha / 2 each. Over several stretches
of time it is exact when arms do not drift, and else holds for large numbers.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sidecar.evidence.boundary import Floats, log_martingale, mixing
from sidecar.evidence.histogram import Histogram, bottom, top
from sidecar.evidence.interval import Interval, bounded
from sidecar.evidence.pairing import weight


class Places(NamedTuple):
    """Where one arm's quantile may be: the bounds of each bucket and the log evidence against it.

    The last upper bound is infinity.
    """

    low: Floats
    high: Floats
    evidence: Floats


class Weighted(NamedTuple):
    """Counts per bucket of values that weigh 1 on average; ``n`` is their effective number."""

    counts: dict[int, float]
    n: float


def quantile_interval(arm: Histogram, level: float, alpha: float, tight_at: float) -> Interval:
    """Return the interval of one arm's quantile."""
    if not arm.n:
        return Interval(0.0)
    where = places(Weighted(arm.counts, arm.n), level, alpha, tight_at)
    possible = where.evidence < -math.log(alpha)
    ends = float(where.low[possible].min()), float(where.high[possible].max())
    return bounded(arm.n, arm.quantile(level), *ends)


def quantile_difference(
    control: Sequence[Histogram], candidate: Sequence[Histogram], level: float, alpha: float,
    tight_at: float,
) -> Interval:  # fmt: skip
    """Return the interval of candidate's quantile minus control's."""
    pair, n = _pair(control, candidate)
    if pair is None:
        return Interval(n)
    mine, theirs = (middle_of(arm, level) for arm in pair)
    ends = _possible(*pair, level, alpha, tight_at)
    low = min(other_low - high for _, high, other_low, _ in ends)
    high = max(other_high - low for low, _, _, other_high in ends)
    return bounded(n, theirs - mine, low, high)


def quantile_ratio(
    control: Sequence[Histogram], candidate: Sequence[Histogram], level: float, alpha: float,
    tight_at: float,
) -> Interval:  # fmt: skip
    """Return the interval of candidate's quantile over control's."""
    pair, n = _pair(control, candidate)
    if pair is None:
        return Interval(n)
    mine, theirs = (middle_of(arm, level) for arm in pair)
    ends = _possible(*pair, level, alpha, tight_at)
    low = min(_over(other_low, high) for _, high, other_low, _ in ends)
    high = max(_over(other_high, low) for low, _, _, other_high in ends)
    return bounded(n, theirs / mine if mine else None, low, high)


def pooled(parts: Sequence[Histogram], weights: Sequence[float]) -> Weighted:
    """Return the histogram in which each part has its share of ``weights``.

    The effective number is ``(sum w)^2 / sum(w^2 / n)``: n itself when there is one part.
    """
    total, spread, counts = 0.0, 0.0, dict[int, float]()
    for part, own in zip(parts, weights, strict=True):
        if own <= 0:
            continue
        n = part.n
        total, spread = total + own, spread + own**2 / n
        for place, count in part.counts.items():
            counts[place] = counts.get(place, 0.0) + own * count / n
    n = total**2 / spread if spread else 0.0
    return Weighted({place: share * n / total for place, share in counts.items()}, n)


def middle_of(arm: Weighted, level: float) -> float:
    """Return the quantile's estimate."""
    return Histogram(arm.counts).quantile(level)


def places(arm: Weighted, level: float, alpha: float, tight_at: float) -> Places:
    """Return the evidence against every bucket from below the least to above the greatest value.

    The count at or below the quantile lies between the counts before and after its bucket; the
    one that speaks least against the bucket is taken.
    """
    found = range(min(arm.counts), max(arm.counts) + 1)
    inner = np.cumsum([arm.counts.get(place, 0.0) for place in found])
    edges = np.concatenate(([0.0], np.minimum(inner, arm.n)))
    edges[-1] = arm.n
    before, after = np.append(0.0, edges), np.append(edges, arm.n)
    low = [0.0, *(bottom(place) for place in found), bottom(found[-1] + 1)]
    high = [bottom(found[0]), *(top(place) for place in found), math.inf]
    strength = max(1.0, 1 / mixing(alpha, tight_at) - 1)
    prior = (strength * level, strength * (1 - level))
    likeliest = np.clip(level * arm.n, before, after)
    evidence = log_martingale(likeliest, arm.n, level, prior)
    return Places(np.array(low), np.array(high), evidence)


def _over(above: float, below: float) -> float:
    return above / below if below else math.inf if above else 0.0


def _pair(
    control: Sequence[Histogram], candidate: Sequence[Histogram]
) -> tuple[tuple[Weighted, Weighted] | None, float]:
    """Return both arms with the same weights per stretch, and the values of both."""
    counts = [(mine.n, theirs.n) for mine, theirs in zip(control, candidate, strict=True)]
    weights = [weight(n, m) for n, m in counts]
    n = sum(sum(pair) for pair in counts)
    if not any(weights):
        return None, n
    return (pooled(control, weights), pooled(candidate, weights)), n


def _possible(
    control: Weighted, candidate: Weighted, level: float, alpha: float, tight_at: float
) -> list[tuple[float, float, float, float]]:
    """Return for each of control's possible buckets: its bounds, the bounds of candidate's."""
    ours, theirs = (places(arm, level, alpha, tight_at) for arm in (control, candidate))
    limit = -math.log(alpha)
    found: list[tuple[float, float, float, float]] = []
    for low, high, evidence in zip(*ours, strict=True):
        other = theirs.evidence < limit - evidence
        if other.any():
            ends = float(theirs.low[other].min()), float(theirs.high[other].max())
            found.append((float(low), float(high), *ends))
    return found
