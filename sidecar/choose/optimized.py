"""`optimized`: the best by a measured metric; what has not been measured gets its share."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

import msgspec

from sidecar.choose.definition import Arm, Definition, Site
from sidecar.model import (
    BackendStats,
    Candidate,
    Context,
    Leaf,
    Ranking,
    Router,
    Strategy,
    Window,
    WindowStats,
)

WINDOWS: tuple[Window, ...] = ("1m", "15m", "1h", "total")
"""Shortest first: without samples for anybody, the next longer one is asked."""

DURATIONS: Mapping[str, Window] = {"Total": "total", "Last15Minutes": "15m", "LastHour": "1h"}
"""LangDB's `metrics_duration` → window."""

_UNSEEN = BackendStats()

Metric = Literal["requests", "latency", "ttft", "tps", "error_rate"]


class Measure(NamedTuple):
    """How a metric is read from a window (``None``: no sample), and which way is better.

    ``unmeasured`` is the value of a backend without samples, where that is a value.
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


class ByMetric(msgspec.Struct, frozen=True):
    """Ranks warm candidates by the metric, cold ones behind them; explores the cold ones."""

    measure: Measure
    windows: tuple[Window, ...]
    explore: float

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return the best first; equal values keep the order of the targets.

        Probability of the first: 1 when all are warm; ``1 - explore`` for the best warm one and
        ``explore / cold`` for each cold one when there are both; ``1 / cold`` when all are cold.
        """
        values = self._values(candidates, context.stats.backends)
        warm = [(value, place) for place, value in enumerate(values) if value is not None]
        warm.sort()
        order = [candidates[place] for _, place in warm]
        if len(order) == len(candidates):
            return Ranking(order)
        cold = [candidates[place] for place, value in enumerate(values) if value is None]
        return self._explored(order, cold, context.entropy.uniform())

    def _explored(self, warm: list[Candidate], cold: list[Candidate], uniform: float) -> Ranking:
        explore = self.explore if warm else 1.0
        if uniform >= explore:
            return Ranking(warm + cold, 1 - explore)
        # Below the threshold the same uniform, stretched, is again uniform: one draw does.
        drawn = min(int(uniform / explore * len(cold)), len(cold) - 1)
        first = cold.pop(drawn)
        return Ranking([first, *warm, *cold], explore / (len(cold) + 1))

    def _values(
        self, candidates: Sequence[Candidate], backends: Mapping[str, BackendStats]
    ) -> list[float | None]:
        """Return what to minimise, per candidate, in the first window that has any sample."""
        read, sign, unmeasured = self.measure
        rows = [
            backends.get(candidate.plan.attempts[0].backend.name, _UNSEEN).windows
            for candidate in candidates
        ]
        for window in self.windows:
            found = [read(row[window]) if window in row else None for row in rows]
            if any(value is not None for value in found):
                return [unmeasured if value is None else sign * value for value in found]
        return [unmeasured] * len(rows)


class Measured(Definition, frozen=True, kw_only=True):
    """What documents of routers that rank by a metric have in common.

    `window` wins over LangDB's `metrics_duration`; `explore` is the share of requests that goes
    to cold targets while others are warm.
    """

    spread: ClassVar = True

    window: Window | None = None
    explore: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.02

    def by(self, metric: Metric) -> ByMetric:
        """Return the ranking by ``metric``."""
        window = self.window or DURATIONS.get(self.metrics_duration or "", "1m")
        return ByMetric(METRICS[metric], WINDOWS[WINDOWS.index(window) :], self.explore)


class Optimized(Measured, frozen=True, kw_only=True):
    """The document of an `optimized` router."""

    names: ClassVar = ("optimized",)

    metric: Metric = "latency"

    def strategy(
        self, _site: Site, _arms: Sequence[Arm], _targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the ranking by `metric`."""
        return self.by(self.metric)
