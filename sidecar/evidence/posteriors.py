"""What is believed of an arm's mean after its values, and how likely each arm is the best."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import betainc, betaincinv, ndtr, ndtri

from sidecar.evidence.boundary import Floats
from sidecar.evidence.sums import Moments, Proportion, summed

_PROBABILITIES = np.concatenate(
    ([1e-9, 1e-7, 1e-5, 1e-4], np.linspace(0.002, 0.998, 101), [1 - 1e-4, 1 - 1e-5, 1 - 1e-7])
)


class Posterior(Protocol):
    """A distribution of an arm's mean."""

    def below(self, value: Floats) -> Floats:
        """Return the probability that the mean is at most ``value``."""

    def at(self, probability: Floats) -> Floats:
        """Return the value that the mean is at most with ``probability``."""


class Beta(NamedTuple):
    """Of a share: ``a - 1`` were, ``b - 1`` were not, from the uniform prior."""

    a: float
    b: float

    def below(self, value: Floats) -> Floats:
        """Return the distribution function."""
        return betainc(self.a, self.b, np.clip(value, 0, 1))

    def at(self, probability: Floats) -> Floats:
        """Return the quantiles."""
        return betaincinv(self.a, self.b, probability)


class Normal(NamedTuple):
    """Of a mean."""

    mean: float
    sd: float

    def below(self, value: Floats) -> Floats:
        """Return the distribution function."""
        return ndtr((value - self.mean) / self.sd)

    def at(self, probability: Floats) -> Floats:
        """Return the quantiles."""
        return self.mean + self.sd * ndtri(probability)


def beta(arm: Moments | Proportion, *, a: float = 1.0, b: float = 1.0) -> Beta:
    """Return the posterior of a share, or of rewards from 0 to 1, from the prior Beta(a, b)."""
    hits = min(max(arm.total, 0.0), arm.n)
    return Beta(a + hits, b + arm.n - hits)


def normals(arms: Sequence[Moments]) -> list[Normal]:
    """Return posteriors of means of any scale.

    The prior of each is one value's worth of all arms together, so that an arm without values is
    as good as the average one and as uncertain as one value; nothing has to be known of the scale.
    """
    whole = summed(arms, Moments())
    if whole.n < 2 or whole.variance <= 0:
        return [Normal(0.0, 1.0)] * len(arms)
    return [_normal(arm, whole) for arm in arms]


def _normal(arm: Moments, whole: Moments) -> Normal:
    weight = arm.n + 1
    mean = (arm.total + whole.mean) / weight
    own = arm.variance * max(arm.n - 1, 0.0)
    return Normal(mean, math.sqrt((own + whole.variance) / max(arm.n, 1.0) / weight))


def best_probabilities(posteriors: Sequence[Posterior], *, least: bool = False) -> list[float]:
    """Return for each arm the probability that its mean is the greatest (or the least).

    The integral of each arm's density times the others' distribution functions, by the midpoint
    rule over a grid of all arms' quantiles. Deterministic; they sum up to 1; within about 0.001.
    """
    grid = np.unique(np.concatenate([arm.at(_PROBABILITIES) for arm in posteriors]))
    below = np.array([arm.below(grid) for arm in posteriors])
    if least:
        below = 1 - below[:, ::-1]
    below = np.pad(below, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1)))
    middle = (below[:, 1:] + below[:, :-1]) / 2
    found = (np.diff(below) * _others(middle)).sum(axis=1)
    return [float(each) for each in found / found.sum()]


def _others(rows: Floats) -> Floats:
    """Return for each row the product of all other rows."""
    one = np.ones((1, rows.shape[1]))
    before = np.multiply.accumulate(np.vstack([one, rows[:-1]]), axis=0)
    after = np.multiply.accumulate(np.vstack([one, rows[:0:-1]]), axis=0)[::-1]
    return before * after


def probability_better(control: Posterior, candidate: Posterior, *, less: bool = False) -> float:
    """Return the probability that candidate's mean is greater than control's (or less)."""
    return best_probabilities([control, candidate], least=less)[1]
