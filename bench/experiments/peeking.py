"""Looking after every request: how often does an experiment err, and how soon does it see harm?

Requests go to one of two arms at random; each fails or not. The asymptotic phase is looked at
after every request, the exact phase (few errors) after each error of the candidate, where the
evidence of harm peaks, and after every 25th request.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from sidecar.evidence.boundary import Floats, mixing, mixture_radius
from sidecar.evidence.intervals import EXACT_SHARE
from sidecar.evidence.pairing import FEW_EVENTS, FEWEST, MANY_EVENTS
from sidecar.evidence.proportions import greatest

CHUNK = 500_000
"""Requests of all runs at a time: what fits into memory."""
WARM_UP = 100
"""Requests before naive peeking begins; without any it would err even more."""


class Rates(NamedTuple):
    """Of errors."""

    control: float
    candidate: float


class Traffic(NamedTuple):
    """Counts so far, one row for each run and one column for each request."""

    control: Floats
    control_errors: Floats
    candidate: Floats
    candidate_errors: Floats

    def swapped(self) -> "Traffic":
        """Return the same with the arms in each other's place."""
        return Traffic(*self[2:], *self[:2])


def traffic(
    rng: np.random.Generator, runs: int, requests: int, share: float, rates: Rates
) -> Traffic:
    """Draw runs; ``share`` is the candidate's."""
    candidate = rng.random((runs, requests)) < share
    errors = rng.random((runs, requests)) < np.where(candidate, rates.candidate, rates.control)
    counted = (~candidate, ~candidate & errors, candidate, candidate & errors)
    return Traffic(*(np.cumsum(each, axis=1, dtype=np.float64) for each in counted))


def harmed(seen: Traffic, limit: float, alpha: float) -> np.ndarray:
    """Tell where the interval of the difference is all above ``limit``."""
    n, hits, m, more = seen
    events = np.minimum(np.minimum(hits, n - hits), np.minimum(more, m - more))
    some = (events >= FEW_EVENTS) & (np.minimum(n, m) >= FEWEST)
    found = np.zeros(n.shape, dtype=bool)
    found[some] = _asymptotic(*(each[some] for each in seen), alpha) > limit
    fresh = np.diff(more, axis=1, prepend=0) > 0
    fresh[:, ::25] = True
    few = (events < MANY_EVENTS) & fresh & (np.minimum(n, m) > 0)
    found[few] |= _exact(*(each[few] for each in seen), alpha) > limit
    return found


def naive(seen: Traffic, alpha: float) -> np.ndarray:
    """Tell where the usual test of two proportions is "significant" for harm."""
    n, hits, m, more = seen
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = (hits + more) / (n + m)
        z = (more / m - hits / n) / np.sqrt(shared * (1 - shared) * (1 / n + 1 / m))
    return (np.nan_to_num(z) > -ndtri(alpha / 2)) & (n + m >= WARM_UP)


def fixed_horizon(rates: Rates, share: float, alpha: float, power: float, margin: float) -> int:
    """Return how many requests the usual test needs to find harm beyond ``margin``."""
    one = rates.control * (1 - rates.control) / (1 - share)
    other = rates.candidate * (1 - rates.candidate) / share
    effect = rates.candidate - rates.control - margin
    return int(np.ceil((one + other) * (ndtri(1 - alpha / 2) + ndtri(power)) ** 2 / effect**2))


def first(crossed: np.ndarray) -> Floats:
    """Return the number of the first request at which it was so, for each run; or infinity."""
    return np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1.0, np.inf)


class Setting(NamedTuple):
    """One kind of experiment; ``share`` is the candidate's, ``limit`` the guard's."""

    requests: int
    share: float
    rates: Rates
    limit: float = 0.0
    alpha: float = 0.05


class Times(NamedTuple):
    """After how many requests each run was rolled back, or found the candidate better."""

    harm: Floats
    better: Floats
    naive: Floats


def simulate(seed: int, runs: int, at: Setting) -> Times:
    """Return the times of ``runs`` experiments."""
    rng = np.random.default_rng(seed)
    parts = []
    for size in _chunks(runs, at.requests):
        seen = traffic(rng, size, at.requests, at.share, at.rates)
        parts.append((
            first(harmed(seen, at.limit, at.alpha)),
            first(harmed(seen.swapped(), 0.0, at.alpha)),
            first(naive(seen, at.alpha)),
        ))  # fmt: skip
    return Times(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def fixed(seed: int, runs: int, at: Setting, horizon: int) -> float:
    """Return the share of runs that the usual test rolls back at its one look."""
    rng = np.random.default_rng(seed)
    m = rng.binomial(horizon, at.share, (runs, 1))
    hits, more = rng.binomial(horizon - m, at.rates.control), rng.binomial(m, at.rates.candidate)
    seen = Traffic(*(each.astype(float) for each in (horizon - m, hits, m, more)))
    return float(naive(seen, at.alpha).mean())


def _chunks(runs: int, requests: int) -> Iterator[int]:
    chunk = max(1, CHUNK // requests)
    for start in range(0, runs, chunk):
        yield min(chunk, runs - start)


def _asymptotic(n: Floats, hits: Floats, m: Floats, more: Floats, alpha: float) -> Floats:
    """Return the low end as `intervals.difference` has it, for one stretch."""
    alpha *= 1 - EXACT_SHARE
    shares = (hits + 0.5) / (n + 1), (more + 0.5) / (m + 1)
    ours, theirs = (share * (1 - share) for share in shares)
    variance, weight = ours / n + theirs / m, n * m / (n + m)
    eta = mixing(alpha) * variance * weight**2 * 2 / (ours + theirs)
    return more / m - hits / n - mixture_radius(variance, eta, alpha)


def _exact(n: Floats, hits: Floats, m: Floats, more: Floats, alpha: float) -> Floats:
    sums = np.array([1.0, -1.0])[:, None]
    return -greatest(np.stack([hits, more]), np.stack([n, m]), sums, alpha * EXACT_SHARE)
