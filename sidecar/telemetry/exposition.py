"""Counters and histograms that are quick to count with, and quick to scrape.

What a scrape repeats, names and labels, is text that is made once per series; only the numbers are
put in. The client library makes an object of each line anew: with a thousand busy backends, and a
hundred lines of each, that takes 1.5 s of the process that reads the access log.

Counting is on one thread, rendering may be on another.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

from prometheus_client.utils import floatToGoString


class Counter:
    """A number that only rises."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Add ``amount``."""
        self.value += amount

    def numbers(self) -> tuple[Any, ...]:
        """Return what goes into the lines."""
        return (self.value,)


class Histogram:
    """Counts of values up to each of ``bounds``, which rise, and their sum."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def numbers(self) -> tuple[Any, ...]:
        """Return what goes into the lines: a bucket holds those below it too."""
        counts = [*accumulate(self._counts)]
        return (*counts, counts[-1], self._sum)


class Metric(Protocol):
    """A series: what its lines show."""

    def numbers(self) -> tuple[Any, ...]:
        """Return the numbers of its lines, in their order."""


class _Shown(NamedTuple):
    metric: Metric
    lines: str
    """With a place for each number."""


class Family:
    """The series of one name. ``name``: without the ``_total`` of a counter.

    ``bounds``: of a histogram's buckets; ``None`` of a counter.
    """

    def __init__(
        self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float] | None
    ) -> None:
        self._name = name
        self._text = text
        self._labels = tuple(labels)
        self._bounds = None if bounds is None else tuple(bounds)
        self._shown: dict[tuple[str, ...], _Shown] = {}

    def show(self, values: tuple[str, ...], metric: Metric) -> None:
        """Show a series under these values of the labels."""
        pairs = [
            f'{name}="{_escaped(value)}"' for name, value in zip(self._labels, values, strict=True)
        ]
        self._shown[values] = _Shown(metric, self._lines(",".join(pairs).replace("%", "%%")))

    def drop(self, values: tuple[str, ...]) -> None:
        """Show the series with these values no more."""
        del self._shown[values]

    def render(self, *, openmetrics: bool) -> str:
        """Return the lines of all series in one of Prometheus' two text formats."""
        kind = "counter" if self._bounds is None else "histogram"
        # OpenMetrics names the family, the older format the sample.
        name = f"{self._name}_total" if kind == "counter" and not openmetrics else self._name
        head = f"# HELP {name} {_escaped(self._text, quotes=openmetrics)}\n# TYPE {name} {kind}\n"
        return head + "".join([lines % one.numbers() for one, lines in [*self._shown.values()]])

    def _lines(self, pairs: str) -> str:
        name, braced = self._name, f"{{{pairs}}}" if pairs else ""
        if self._bounds is None:
            return f"{name}_total{braced} %r\n"
        before = f"{name}_bucket{{{pairs},le=" if pairs else f"{name}_bucket{{le="
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = "".join([f'{before}"{bound}"}} %d\n' for bound in bounds])
        return f"{buckets}{name}_count{braced} %d\n{name}_sum{braced} %r\n"


def _escaped(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quotes else text
