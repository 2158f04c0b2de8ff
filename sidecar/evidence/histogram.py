"""Values counted in fixed logarithmic buckets: what quantiles need, and what nodes can add up."""

import math
from typing import Self

import msgspec

WIDTH = 1.02
"""Bucket k holds the values from WIDTH**k up to, without, WIDTH**(k + 1): 2 % wide."""
LOWEST, HIGHEST = -698, 1046
"""The outermost buckets: about 1e-6 and 1e9. They hold what is beyond them too: 0 and infinity.

In seconds that is 1 µs to 30 years, in milliseconds 1 ns to 11 days: any unit does.
"""

_SCALE = 1 / math.log(WIDTH)


class Histogram(msgspec.Struct, forbid_unknown_fields=True):
    """Counts per bucket, only of buckets that have any; values are 0 or more."""

    counts: dict[int, float] = msgspec.field(default_factory=dict)

    def add(self, value: float) -> None:
        """Count one value. Raises ValueError when it is below 0 or not a number."""
        place = bucket(value)
        self.counts[place] = self.counts.get(place, 0) + 1

    def merge(self, other: Self) -> Self:
        """Return the counts of both."""
        both = dict(self.counts)
        for place, count in other.counts.items():
            both[place] = both.get(place, 0) + count
        return type(self)(both)

    def scaled(self, factor: float) -> Self:
        """Return the counts with each value weighing ``factor`` (from 0 on)."""
        return type(self)({place: count * factor for place, count in self.counts.items()})

    @property
    def n(self) -> float:
        """How many values."""
        return math.fsum(self.counts.values())

    def quantile(self, level: float) -> float:
        """Return the middle of the bucket with the quantile, so within 1 %; NaN of nothing."""
        n = self.n
        left = level * n
        for place in sorted(self.counts):
            left -= self.counts[place]
            # Sums of fractions may leave a crumb; one value in 10^9 moves no quantile.
            if left <= 1e-9 * n:
                return middle(place)
        return math.nan


def bucket(value: float) -> int:
    """Return the bucket of a value. Raises ValueError when it is below 0 or not a number."""
    if not value >= 0:
        raise ValueError(f"{value} is not 0 or more")
    if value < 1e-6:
        return LOWEST
    if value > 1e9:
        return HIGHEST
    return math.floor(math.log(value) * _SCALE)


def bottom(place: int) -> float:
    """Return the lowest value that bucket ``place`` may hold."""
    return 0.0 if place <= LOWEST else WIDTH**place


def top(place: int) -> float:
    """Return the bound that values of bucket ``place`` do not exceed."""
    return math.inf if place >= HIGHEST else WIDTH ** (place + 1)


def middle(place: int) -> float:
    """Return the geometric middle of bucket ``place``; 0 for the lowest, which holds zeros."""
    return 0.0 if place <= LOWEST else WIDTH ** (place + 0.5)
