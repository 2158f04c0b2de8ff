"""Intervals looked at after every value: how often is the truth outside even once?

Each function returns the share of runs in which it was. Values are drawn for two arms in turn at
random; the formulas are the room's own, on arrays.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from sidecar.evidence import Proportion, design_effect, difference
from sidecar.evidence.boundary import Floats, log_martingale, mixing, mixture_radius, widened
from sidecar.evidence.histogram import WIDTH
from sidecar.evidence.pairing import FEWEST
from sidecar.evidence.proportions import JEFFREYS
from sidecar.evidence.sums import summed

CHUNK = 50
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]


class Places(NamedTuple):
    """The bucket with the ``level`` quantile: the shares of values below it, and below its end."""

    level: float
    below: float
    end: float


def lognormal_bucket(sigma: float, level: float) -> Places:
    """Return the bucket of a lognormal's quantile, with the quantile in its middle."""
    half = np.log(WIDTH) / sigma / 2
    return Places(level, float(ndtr(ndtri(level) - half)), float(ndtr(ndtri(level) + half)))


def _runs(seed: int, runs: int, missed: Callable[[np.random.Generator, int], np.ndarray]) -> float:
    rng = np.random.default_rng(seed)
    sizes = [min(CHUNK, runs - start) for start in range(0, runs, CHUNK)]
    return float(sum(missed(rng, size).sum() for size in sizes) / runs)


def share(seed: int, runs: int, n: int, truth: float, alpha: float = 0.05) -> float:
    """Return how often a share leaves its exact interval."""

    def missed(rng: np.random.Generator, size: int) -> np.ndarray:
        hits = np.cumsum(rng.random((size, n)) < truth, axis=1)
        evidence = log_martingale(hits, np.arange(1.0, n + 1), truth, JEFFREYS)
        return (evidence > -np.log(alpha)).any(axis=1)

    return _runs(seed, runs, missed)


def mean(seed: int, runs: int, n: int, draw: Draw, truth: float, alpha: float = 0.05) -> float:
    """Return how often a mean leaves its interval."""

    def missed(rng: np.random.Generator, size: int) -> np.ndarray:
        values, count = draw(rng, (size, n)), np.arange(1.0, n + 1)
        middle, variance = _moments(values, np.ones((size, n)))
        radius = mixture_radius(variance / count, mixing(alpha) * count, alpha)
        squares, cubes = (np.cumsum(values**power, axis=1) / count for power in (2, 3))
        with np.errstate(divide="ignore", invalid="ignore"):  # the first value has no variance
            skew = (cubes - 3 * middle * squares + 2 * middle**3) / variance**1.5
            error = np.sqrt(variance / count)
            high = middle + widened(radius, error, skew / np.sqrt(count))
            low = middle - widened(radius, error, -skew / np.sqrt(count))
        return (((truth < low) | (truth > high)) & (count >= FEWEST)).any(axis=1)

    return _runs(seed, runs, missed)


def mean_difference(
    seed: int, runs: int, n: int, draw: Draw, canary: float, alpha: float = 0.05
) -> float:
    """Return how often 0 leaves the interval of the difference of two like arms."""

    def missed(rng: np.random.Generator, size: int) -> np.ndarray:
        arm, values = rng.random((size, n)) < canary, draw(rng, (size, n))
        ours, theirs = _moments(values, ~arm), _moments(values, arm)
        return _beyond(ours, theirs, arm, 0.0, alpha)

    return _runs(seed, runs, missed)


def mean_ratio(
    seed: int, runs: int, n: int, draw: Draw, factor: float, alpha: float = 0.05
) -> float:
    """Return how often ``factor`` leaves the interval of the ratio of means (a tenth canary)."""

    def missed(rng: np.random.Generator, size: int) -> np.ndarray:
        arm = rng.random((size, n)) < 0.1
        values = draw(rng, (size, n)) * np.where(arm, factor, 1.0)
        logs = [(np.log(m), v / m**2) for m, v in (_moments(values, ~arm), _moments(values, arm))]
        return _beyond(logs[0], logs[1], arm, np.log(factor), alpha)

    with np.errstate(divide="ignore", invalid="ignore"):
        return _runs(seed, runs, missed)


def ratio_of_sums(seed: int, runs: int, n: int, alpha: float = 0.05) -> float:
    """Return how often tokens per second (sum over sum; 50) leave their interval.

    Answers have 200 tokens on average, lognormal; speed varies by a third around 50 a second.
    """

    def missed(rng: np.random.Generator, size: int) -> np.ndarray:
        x = rng.lognormal(np.log(200), 0.5, (size, n))
        y = x / 50 * rng.lognormal(-0.045, 0.3, (size, n))
        count = np.arange(1.0, n + 1)
        tokens, seconds = np.cumsum(x, axis=1), np.cumsum(y, axis=1)
        found = tokens / seconds
        squares = (np.cumsum(each, axis=1) for each in (x * x, x * y, y * y))
        xx, xy, yy = squares
        one = np.maximum(xx - 2 * found * xy + found**2 * yy, 0) / np.maximum(count - 1, 1)
        one /= (seconds / count) ** 2
        radius = mixture_radius(one / count, mixing(alpha) * count, alpha)
        return ((np.abs(found - 50) > radius) & (count >= FEWEST)).any(axis=1)

    return _runs(seed, runs, missed)


def quantile(
    seed: int, runs: int, n: int, places: Places, canary: float = 0.0, alpha: float = 0.05
) -> float:
    """Return how often the true quantile's bucket is ruled out, in one arm or in two as a pair.

    With ``canary`` above 0 the evidence of both arms is added up, as for differences and ratios.
    """
    level = places.level
    strength = 1 / mixing(alpha) - 1
    prior = (strength * level, strength * (1 - level))

    def against(u: Floats, mask: np.ndarray) -> Floats:
        count = np.cumsum(mask, axis=1, dtype=float)
        before, after = (
            np.cumsum(mask & (u < place), axis=1) for place in (places.below, places.end)
        )
        likeliest = np.clip(level * count, before, after)
        return log_martingale(likeliest, count, level, prior)  # type: ignore[no-any-return]

    def missed(rng: np.random.Generator, size: int) -> np.ndarray:
        arm, u = rng.random((size, n)) < canary, rng.random((size, n))
        evidence = against(u, ~arm) + (against(u, arm) if canary else 0.0)
        return (evidence > -np.log(alpha)).any(axis=1)

    return _runs(seed, runs, missed)


def outage(seed: int, runs: int, alpha: float = 0.05) -> tuple[float, float]:
    """Return how often an outage that hits both arms alike is taken for the canary's.

    Four steps of 5,000 requests with 1, 5, 20 and 50 % for the canary; from the third on errors
    are 10 % instead of 1 %. Looked at every 500 requests. With all steps in one sum, and apart.
    """
    rng = np.random.default_rng(seed)
    blamed = np.array([_outage(rng, alpha) for _ in range(runs)])
    pooled, apart = blamed.mean(axis=0)
    return float(pooled), float(apart)


def _outage(rng: np.random.Generator, alpha: float) -> tuple[bool, bool]:
    control, candidate = [], []
    pooled = apart = False
    for canary, rate in ((0.01, 0.01), (0.05, 0.01), (0.2, 0.1), (0.5, 0.1)):
        control.append(Proportion())
        candidate.append(Proportion())
        for _ in range(10):
            m = int(rng.binomial(500, canary))
            control[-1] = control[-1].merge(Proportion(500 - m, int(rng.binomial(500 - m, rate))))
            candidate[-1] = candidate[-1].merge(Proportion(m, int(rng.binomial(m, rate))))
            whole = summed(control, Proportion()), summed(candidate, Proportion())
            pooled = pooled or (difference(*whole, alpha).low or 0) > 0
            apart = apart or (difference(control, candidate, alpha).low or 0) > 0
    return pooled, apart


def users(seed: int, runs: int, alpha: float = 0.05) -> tuple[float, float]:
    """Return how often 0 is outside for users of very different kinds: as requests, and corrected.

    1,000 users at equal shares, 1 to 100 requests each, each user with errors of their own
    (Beta(0.4, 3.6)); one look at the end. Corrected by `design_effect` over 64 parts of each arm.
    """
    rng = np.random.default_rng(seed)
    found = np.array([_users(rng, alpha) for _ in range(runs)])
    plain, corrected = found.mean(axis=0)
    return float(plain), float(corrected)


def _users(rng: np.random.Generator, alpha: float) -> tuple[bool, bool]:
    parts = [[Proportion() for _ in range(64)] for _ in range(2)]
    for _ in range(1000):
        arm, part = rng.integers(2), rng.integers(64)
        n = int(min(100, rng.pareto(1.2) + 1))
        own = Proportion(n, int(rng.binomial(n, rng.beta(0.4, 3.6))))
        parts[arm][part] = parts[arm][part].merge(own)
    whole = [summed(each, Proportion()) for each in parts]
    honest = [sums.scaled(1 / design_effect(each)) for sums, each in zip(whole, parts, strict=True)]
    plain, corrected = difference(*whole, alpha), difference(*honest, alpha)
    return tuple(bool((each.low or 0) > 0 or (each.high or 0) < 0) for each in (plain, corrected))


def _moments(values: Floats, mask: np.ndarray) -> tuple[Floats, Floats]:
    """Return mean and variance of one value so far; NaN where there are too few."""
    count = np.cumsum(mask, axis=1, dtype=float)
    total, squares = (np.cumsum(each * mask, axis=1) for each in (values, values * values))
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = total / count
        return middle, np.maximum(0.0, (squares - total * middle) / (count - 1))


def _beyond(
    ours: tuple[Floats, Floats],
    theirs: tuple[Floats, Floats],
    arm: np.ndarray,
    truth: float,
    alpha: float,
) -> np.ndarray:
    """Tell in which runs the difference of two (mean, variance) was ever off by its radius."""
    n, m = (np.cumsum(each, axis=1, dtype=float) for each in (~arm, arm))
    with np.errstate(divide="ignore", invalid="ignore"):  # before both arms have values
        variance, weight = ours[1] / n + theirs[1] / m, n * m / (n + m)
        eta = mixing(alpha) * variance * weight**2 * 2 / (ours[1] + theirs[1])
        radius = mixture_radius(variance, eta, alpha)
        off = np.abs(theirs[0] - ours[0] - truth) > radius
    return (off & (np.minimum(n, m) >= FEWEST)).any(axis=1)
