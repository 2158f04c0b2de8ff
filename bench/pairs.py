"""Two things measured in turn, so that what the machine does meanwhile meets both."""

from collections.abc import Awaitable, Callable, Iterable
from statistics import median
from typing import NamedTuple, Self, TypeVar

T = TypeVar("T")

PAIRS = 5


class Spread(NamedTuple):
    """The median of some figures, the least and the greatest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Self:
        """Raises ValueError when there are none."""
        given = list(figures)
        return cls(median(given), min(given), max(given))

    @property
    def range(self) -> str:
        """The least and the greatest, for people."""
        return f"{self.low:,.3g} to {self.high:,.3g}"


async def pairs_of(
    first: Callable[[], Awaitable[T]], second: Callable[[], Awaitable[T]], count: int = PAIRS
) -> list[tuple[T, T]]:
    """Await ``first`` and ``second`` in turn, ``count`` times each."""
    return [(await first(), await second()) for _ in range(count)]
