"""Intervals of proportions that hold exactly, at every sample size: 0 errors of 50 are not "none".

The shares against which the beta-binomial martingale (`boundary.log_martingale`) stays below
1 / alpha are a confidence sequence. So are the sets of shares, one for each arm and stretch of
time, against which the product of all their martingales does, in whatever order requests reached
the arms. A difference or a ratio of arms reaches as far as these sets let it.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sidecar.evidence.boundary import Floats, log_martingale
from sidecar.evidence.sums import Proportion

JEFFREYS = (0.5, 0.5)
"""Prior of the mixture: loses least where nothing is known about the share (Krichevsky and
Trofimov 1981), so there is nothing to tune."""

_HALVINGS = 32
_ROUNDS, _POINTS = 4, 65
"""Each round of a search divides what is left by 64."""
_LEAST, _GREATEST = 1e-9, 1e9
"""Ratios beyond are 0 and infinity."""


def share_bounds(arm: Proportion, alpha: float) -> tuple[float, float]:
    """Return the interval of one arm's share."""
    hits, n = np.array([arm.total]), np.array([arm.n])
    one = np.ones(1)
    return _ends(hits, n, one, alpha)


def difference_bounds(
    control: Sequence[Proportion],
    candidate: Sequence[Proportion],
    weights: Sequence[float],
    alpha: float,
) -> tuple[float, float]:
    """Return the interval of candidate's minus control's weighted share over the stretches."""
    hits, n = _columns(control, candidate)
    ours, theirs = _coefficients(weights)
    sums = theirs - ours
    return _ends(hits, n, sums, alpha)


def ratio_bounds(
    control: Sequence[Proportion],
    candidate: Sequence[Proportion],
    weights: Sequence[float],
    alpha: float,
) -> tuple[float, float]:
    """Return the interval of candidate's over control's weighted share; up to infinity.

    A ratio r is possible when "candidate - r x control" can be 0.
    """
    hits, n = (each[:, None] for each in _columns(control, candidate))
    ours, theirs = (each[:, None] for each in _coefficients(weights))

    def at_least(ratio: Floats) -> Any:
        return greatest(hits, n, theirs - ratio * ours, alpha) >= 0

    def at_most(ratio: Floats) -> Any:
        return greatest(hits, n, ratio * ours - theirs, alpha) >= 0

    return 1 / _reach(lambda inverse: at_most(1 / inverse)), _reach(at_least)


def greatest(hits: Floats, n: Floats, coefficients: Floats, alpha: float) -> Any:
    """Return the greatest sum of ``coefficients x shares`` that the values do not rule out.

    Rows are arms (or arms in stretches); further axes are problems of their own. Lagrange: at the
    greatest, the slope of each row's log martingale, ``(n - hits) / (1 - q) - hits / q``, is a
    multiple of its coefficient, which gives q by a quadratic equation; that multiple is found by
    halving, since the evidence grows with it. Rounded outwards.
    """
    limit = -np.log(alpha)
    shape = np.broadcast_shapes(hits.shape, n.shape, coefficients.shape)[1:]
    low, high = np.full(shape, -7.0), np.full(shape, 16.0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        shares = _share_at(hits, n, coefficients * 10**middle)
        beyond = log_martingale(hits, n, shares, JEFFREYS).sum(axis=0) > limit
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return (coefficients * _share_at(hits, n, coefficients * 10**high)).sum(axis=0)


def _share_at(hits: Floats, n: Floats, slope: Floats) -> Floats:
    """Return q with ``slope q^2 + (n - slope) q - hits = 0``, between 0 and 1.

    Of the two ways to write a root, the one that does not subtract like numbers.
    """
    rest = n - slope
    root = np.sqrt(np.maximum(rest**2 + 4 * slope * hits, 0.0))
    tiny = 1e-300
    small = 2 * hits / np.maximum(rest + root, tiny)
    large = (root - rest) / np.where(slope > 0, 2 * slope, np.inf)
    return np.clip(np.where(rest > 0, small, large), 0.0, 1.0)


def _ends(hits: Floats, n: Floats, coefficients: Floats, alpha: float) -> tuple[float, float]:
    least = -float(greatest(hits, n, -coefficients, alpha))
    return least + 0.0, float(greatest(hits, n, coefficients, alpha))


def _columns(
    control: Sequence[Proportion], candidate: Sequence[Proportion]
) -> tuple[Floats, Floats]:
    arms = [*control, *candidate]
    return np.array([arm.total for arm in arms]), np.array([arm.n for arm in arms])


def _coefficients(weights: Sequence[float]) -> tuple[Floats, Floats]:
    """Return each row's weight in control's and in candidate's share."""
    shares = np.array(weights) / sum(weights)
    none = np.zeros_like(shares)
    return np.concatenate([shares, none]), np.concatenate([none, shares])


def _reach(possible: Any) -> float:
    """Return how great a ratio is possible, where all from some point on are not."""
    low, high = np.log(_LEAST), np.log(_GREATEST)
    for _ in range(_ROUNDS):
        points = np.linspace(low, high, _POINTS)
        ruled_out = np.flatnonzero(~possible(np.exp(points)))
        if not len(ruled_out):
            return math.inf
        first = max(int(ruled_out[0]), 1)
        low, high = float(points[first - 1]), float(points[first])
    return float(np.exp(high))
