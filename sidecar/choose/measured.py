"""What backends did lately, read for all candidates of a router alike."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from sidecar.choose.definition import Definition
from sidecar.model import BackendStats, Candidate, Stats, Window, WindowStats

WINDOWS: tuple[Window, ...] = ("1m", "15m", "1h", "total")
"""Shortest first: without samples for anybody, the next longer one is asked."""

DURATIONS: Mapping[str, Window] = {"Total": "total", "Last15Minutes": "15m", "LastHour": "1h"}
"""LangDB's `metrics_duration` → window."""

Metric = Literal["requests", "latency", "ttft", "tps", "error_rate"]
Row = Mapping[Window, WindowStats]

_UNSEEN = BackendStats()


class Measure(NamedTuple):
    """How a metric is read from a window (``None``: no sample), and which way is better.

    ``sign``: 1 when the lowest is best, else -1. ``unmeasured`` is the value of a backend without
    samples, where that is a value.
    """

    read: Callable[[WindowStats], float | None]
    sign: int = 1
    unmeasured: float | None = None


METRICS: Mapping[Metric, Measure] = {
    "requests": Measure(lambda window: window.requests or None, unmeasured=0.0),
    "latency": Measure(operator.attrgetter("latency_ms")),
    "ttft": Measure(operator.attrgetter("ttft_ms")),
    "tps": Measure(operator.attrgetter("tokens_per_second"), sign=-1),
    "error_rate": Measure(operator.attrgetter("error_rate")),
}


class Reading(NamedTuple):
    """A metric's value of each candidate, and the window that they are from, if any has one."""

    values: list[float | None]
    window: Window | None


def rows_of(candidates: Sequence[Candidate], stats: Stats) -> list[Row]:
    """Return the windows of the backend that each candidate would try first."""
    backends = stats.backends
    return [
        backends.get(candidate.plan.attempts[0].backend.name, _UNSEEN).windows
        for candidate in candidates
    ]


def read_metric(measure: Measure, rows: Sequence[Row], windows: Sequence[Window]) -> Reading:
    """Read the metric in the first of ``windows`` that has any sample of it."""
    read, blank = measure.read, measure.unmeasured
    for window in windows:
        found: list[float | None]
        found = [read(row[window]) if window in row else None for row in rows]
        unknown = found.count(None)
        if unknown < len(found):
            if unknown and blank is not None:
                found = [blank if value is None else value for value in found]
            return Reading(found, window)
    return Reading([blank] * len(rows), None)


class Windowed(Definition, frozen=True, kw_only=True):
    """What documents of routers that read windows have in common.

    `window` wins over LangDB's `metrics_duration`.
    """

    window: Window | None = None

    def windows(self) -> tuple[Window, ...]:
        """Return the window that was set, and the longer ones."""
        window = self.window or DURATIONS.get(self.metrics_duration or "", "1m")
        return WINDOWS[WINDOWS.index(window) :]
