"""Intervals that hold at all times at once: of one arm, and of what lies between two.

All are confidence sequences: with probability 1 - alpha the truth is inside at every moment of an
experiment, so one may look at any time, stop at any time, and go on.

=========== ================================= ==================================================
statistic   one arm                           two arms
=========== ================================= ==================================================
Proportion  exact (`proportions`)             exact, then both, then asymptotic, by events
Moments     asymptotic, mindful of skewness   asymptotic
Ratio       asymptotic, delta method          asymptotic, delta method
Histogram   exact (`quantiles`)               exact
=========== ================================= ==================================================

An arm is one statistic, or a list of them with one for each stretch of time in which the shares
stayed the same, parallel to the other arm's (`pairing` tells why that matters).
"""

import math
from collections.abc import Sequence

from sidecar.evidence.boundary import TIGHT_AT, mixing, mixture_radius, widened
from sidecar.evidence.histogram import Histogram
from sidecar.evidence.interval import Interval, bounded
from sidecar.evidence.pairing import (
    FEW_EVENTS,
    FEWEST,
    MANY_EVENTS,
    Averaged,
    Comparison,
    compare,
    events,
    logarithmic,
    radius,
    weight,
)
from sidecar.evidence.proportions import difference_bounds, ratio_bounds, share_bounds
from sidecar.evidence.quantiles import quantile_difference, quantile_interval, quantile_ratio
from sidecar.evidence.sums import Moments, Proportion, Ratio

Statistic = Moments | Proportion | Ratio | Histogram
Arm = Statistic | Sequence[Statistic]

EXACT_SHARE = 0.2
"""Of alpha: what the exact bounds of a comparison may err; the rest is left to the asymptotic ones,
so that both together err alpha at most (union bound), also where both are used at once."""


def interval(
    arm: Statistic, alpha: float, *, level: float | None = None, tight_at: float = TIGHT_AT
) -> Interval:
    """Return the interval of one arm's mean, share, ratio, or quantile at ``level`` (0 to 1)."""
    if isinstance(arm, Histogram):
        return quantile_interval(arm, _level(level), alpha, tight_at)
    n, estimate = arm.n, arm.mean
    if not math.isfinite(estimate):
        return Interval(n)
    if isinstance(arm, Proportion):
        return bounded(n, estimate, *share_bounds(arm, alpha))
    if n < FEWEST or arm.variance <= 0:
        return Interval(n, estimate)
    half = mixture_radius(arm.variance / n, mixing(alpha, tight_at) * n, alpha)
    # Of many small values and few great ones, the great ones may not have come yet.
    error, skew = math.sqrt(arm.variance / n), _skewness(arm) / math.sqrt(n)
    low, high = widened(half, error, -skew), widened(half, error, skew)
    return bounded(n, estimate, estimate - low, estimate + high)


def difference(
    control: Arm,
    candidate: Arm,
    alpha: float,
    *,
    level: float | None = None,
    tight_at: float = TIGHT_AT,
) -> Interval:
    """Return the interval of candidate minus control.

    Raises ValueError for arms of unlike kinds or lengths, or a histogram without a ``level``.
    """
    counts, sums = _split(control, candidate)
    if counts:
        return quantile_difference(*counts, _level(level), alpha, tight_at)
    both = compare(*sums)
    if both is None:
        return Interval(_values(sums))
    estimate = both.candidate.value - both.control.value
    half = radius(both, _asymptotic_part(sums, alpha), tight_at)
    rough = _EVERYTHING if half is None else (estimate - half, estimate + half)
    if not _is_exact(both, sums):
        return bounded(both.n, estimate, *rough)
    exact = difference_bounds(*_shares(sums), alpha * EXACT_SHARE)
    return bounded(both.n, estimate, *_common(exact, rough, both))


def ratio(
    control: Arm,
    candidate: Arm,
    alpha: float,
    *,
    level: float | None = None,
    tight_at: float = TIGHT_AT,
) -> Interval:
    """Return the interval of candidate over control; unknown while control's value may be 0.

    Raises ValueError for arms of unlike kinds or lengths, or a histogram without a ``level``.
    """
    counts, sums = _split(control, candidate)
    if counts:
        return quantile_ratio(*counts, _level(level), alpha, tight_at)
    both = compare(*sums)
    if both is None:
        return Interval(_values(sums))
    below = both.control.value
    estimate = both.candidate.value / below if below else None
    logs = logarithmic(both)
    half = logs and radius(logs, _asymptotic_part(sums, alpha), tight_at)
    rough = _EVERYTHING
    if estimate is not None and half is not None and half < _WIDEST:
        rough = (estimate * math.exp(-half), estimate * math.exp(half))
    if not _is_exact(both, sums):
        return bounded(both.n, estimate, *rough)
    exact = ratio_bounds(*_shares(sums), alpha * EXACT_SHARE)
    return bounded(both.n, estimate, *_common(exact, rough, both))


Histograms = tuple[Sequence[Histogram], Sequence[Histogram]]
Averages = tuple[Sequence[Averaged], Sequence[Averaged]]


Bounds = tuple[float, float]
_EVERYTHING = (-math.inf, math.inf)
_WIDEST = 20.0
"""Half-width of a logarithm beyond which nothing is known: means that may as well be 0."""


def _asymptotic_part(sums: Averages, alpha: float) -> float:
    """Return what of alpha the asymptotic bounds may err."""
    return alpha * (1 - EXACT_SHARE) if isinstance(sums[0][0], Proportion) else alpha


def _is_exact(both: Comparison, sums: Averages) -> bool:
    """Tell whether exact bounds have to be, or are worth being, computed."""
    return isinstance(sums[0][0], Proportion) and events(both) < MANY_EVENTS


def _common(exact: Bounds, rough: Bounds, both: Comparison) -> Bounds:
    """Return what both leave possible; the exact bounds alone while events are few."""
    low, high = max(exact[0], rough[0]), min(exact[1], rough[1])
    return exact if events(both) < FEW_EVENTS or low > high else (low, high)


def _split(control: Arm, candidate: Arm) -> tuple[Histograms | None, Averages]:
    """Return both arms as lists: as histograms, or as sums."""
    ours, theirs = _listed(control), _listed(candidate)
    kinds = {type(each) for each in (*ours, *theirs)}
    if len(kinds) != 1 or len(ours) != len(theirs):
        names = sorted(kind.__name__ for kind in kinds)
        raise ValueError(f"{len(ours)} and {len(theirs)} stretches of {names} do not compare")
    if kinds == {Histogram}:
        return (_histograms(ours), _histograms(theirs)), ([], [])
    return None, (_averages(ours), _averages(theirs))


def _listed(arm: Arm) -> Sequence[Statistic]:
    return [arm] if isinstance(arm, Statistic) else arm


def _histograms(arm: Sequence[Statistic]) -> list[Histogram]:
    return [each for each in arm if isinstance(each, Histogram)]


def _averages(arm: Sequence[Statistic]) -> list[Averaged]:
    return [each for each in arm if not isinstance(each, Histogram)]


def _values(arms: Averages) -> float:
    return sum(each.n for arm in arms for each in arm)


def _shares(arms: Averages) -> tuple[list[Proportion], list[Proportion], list[float]]:
    """Return both arms in the stretches in which both have values, and the stretches' weights."""
    pairs = [
        (mine, theirs)
        for mine, theirs in zip(*arms, strict=True)
        if isinstance(mine, Proportion) and isinstance(theirs, Proportion) and mine.n and theirs.n
    ]
    weights = [weight(mine.n, theirs.n) for mine, theirs in pairs]
    return [mine for mine, _ in pairs], [theirs for _, theirs in pairs], weights


def _skewness(arm: Averaged) -> float:
    """Return the skewness; of ratios it is not known, and matters less."""
    return arm.skewness if isinstance(arm, Moments) else 0.0


def _level(level: float | None) -> float:
    if level is None or not 0 < level < 1:
        raise ValueError(f"a quantile needs a level between 0 and 1, not {level}")
    return level
