"""Sufficient statistics: sums per arm and metric, from which all else follows.

Each is a plain struct of sums (JSON as it stands), grows by ``add`` in place, and gives a new one
for ``merge`` (the sum of two) and ``scaled`` (all sums times a factor: discounting, or a design
effect above 1). Adding is all that merging takes, so the order of nodes does not matter.
"""

import math
from collections.abc import Iterable
from typing import Any, Self, TypeVar

import msgspec


class _Sums(msgspec.Struct, forbid_unknown_fields=True):
    """Every field is a sum over the values."""

    n: float = 0.0
    """How many values; not whole after discounting."""

    def merge(self, other: Self) -> Self:
        """Return the sums over the values of both."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return type(self)(*(mine + theirs for mine, theirs in pairs))

    def scaled(self, factor: float) -> Self:
        """Return the sums with each value weighing ``factor`` (from 0 on)."""
        return type(self)(*(each * factor for each in msgspec.structs.astuple(self)))


class Moments(_Sums):
    """What a mean and its interval need: count, sum, sum of squares and, if kept, of cubes."""

    total: float = 0.0
    squares: float = 0.0
    cubes: float = 0.0

    def add(self, value: float) -> None:
        """Count one value. Raises ValueError when it is not finite: it would spoil the sum."""
        _finite(value)
        self.n += 1
        self.total += value
        self.squares += value * value
        self.cubes += value * value * value

    @property
    def mean(self) -> float:
        """The mean; NaN of nothing."""
        return self.total / self.n if self.n else math.nan

    @property
    def variance(self) -> float:
        """The variance of one value, with n - 1; 0 of less than two values."""
        if self.n <= 1:
            return 0.0
        return max(0.0, (self.squares - self.total * self.mean) / (self.n - 1))

    @property
    def skewness(self) -> float:
        """The third central moment over the standard deviation's cube.

        0 of values that are alike, and where cubes were not kept.
        """
        if not self.cubes or self.variance <= 0:
            return 0.0
        mean = self.mean
        third = (self.cubes - 3 * mean * self.squares) / self.n + 2 * mean**3
        return third / math.sqrt(self.variance) ** 3


class Proportion(_Sums):
    """How many of ``n`` were so: ``total`` is the sum of values from 0 to 1, mostly just 0 and 1.

    A score from 0 to 1 counts as well: its intervals hold too, somewhat wider than need be.
    """

    total: float = 0.0

    def add(self, value: float) -> None:
        """Count one value. Raises ValueError when it is not between 0 and 1."""
        if not 0 <= value <= 1:
            raise ValueError(f"{value} is not between 0 and 1")
        self.n += 1
        self.total += value

    @property
    def mean(self) -> float:
        """The share; NaN of nothing."""
        return self.total / self.n if self.n else math.nan


class Ratio(_Sums):
    """The mean of x over the mean of y: tokens per second, dollars per answer that was liked."""

    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0

    def add(self, x: float, y: float) -> None:
        """Count one pair. Raises ValueError when one of them is not finite."""
        _finite(x)
        _finite(y)
        self.n += 1
        self.x += x
        self.y += y
        self.xx += x * x
        self.yy += y * y
        self.xy += x * y

    @property
    def mean(self) -> float:
        """Sum of x over sum of y; NaN when y sums up to 0."""
        return self.x / self.y if self.y else math.nan

    @property
    def variance(self) -> float:
        """The variance of one pair's share in the ratio, by the delta method.

        ``sum((x - r y)^2) / (n - 1) / mean(y)^2`` with r the ratio; 0 of less than two pairs.
        """
        if self.n <= 1 or not self.y:
            return 0.0
        ratio = self.mean
        residue = self.xx - 2 * ratio * self.xy + ratio * ratio * self.yy
        return max(0.0, residue / (self.n - 1)) / (self.y / self.n) ** 2


Sums = TypeVar("Sums", bound=_Sums)


def summed(parts: Iterable[Sums], empty: Sums) -> Sums:
    """Return the merger of all; ``empty`` when there are none."""
    whole = empty
    for part in parts:
        whole = whole.merge(part)
    return whole


def design_effect(parts: Iterable[Moments | Proportion]) -> float:
    """Return by how much values of one user vary together: 1 when they are independent.

    Shares are drawn per key (a user), but values come per request, and the requests of one user
    are alike. ``parts`` are the sums of one arm split by a hash of the key into 30 or more parts:
    the ratio of the variance of the mean between parts to that between single values, at least 1
    (Kish 1965; with a ratio estimator, since the parts' sizes vary). Sums that are scaled by its
    reciprocal have honest intervals. 1 as well when it cannot be told.
    """
    known: list[Any] = [part for part in parts if part.n]
    n = sum(part.n for part in known)
    if len(known) < 2 or n <= 1:
        return 1.0
    mean = sum(part.total for part in known) / n
    single = _spread(known, n, mean) / n
    between = sum((part.total - mean * part.n) ** 2 for part in known) / n**2
    between *= len(known) / (len(known) - 1)
    return max(1.0, between / single) if single > 0 else 1.0


def _spread(parts: list[Any], n: float, mean: float) -> float:
    if isinstance(parts[0], Proportion):
        return mean * (1 - mean)
    return (sum(part.squares for part in parts) - n * mean * mean) / (n - 1)  # type: ignore[no-any-return]


def _finite(value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
