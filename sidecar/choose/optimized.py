"""`optimized`: the best by a measured metric; what has not been measured gets its share."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec

from sidecar.choose.definition import Arm, Site
from sidecar.choose.measured import METRICS, Metric, Reading, Windowed, read_metric, rows_of
from sidecar.model import Candidate, Context, Leaf, Ranking, Router, Strategy, Trail, Window


class ByMetric(msgspec.Struct, frozen=True):
    """Ranks warm candidates by the metric, cold ones behind them; explores the cold ones."""

    metric: Metric
    windows: tuple[Window, ...]
    explore: float
    sign: int | None = None
    """1: the lowest first, -1: the highest; ``None``: as the metric has it."""

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return the best first; equal values keep the order of the targets.

        Probability of the first: 1 when all are warm; ``1 - explore`` for the best warm one and
        ``explore / cold`` for each cold one when there are both; ``1 / cold`` when all are cold.
        """
        measure = METRICS[self.metric]
        reading = read_metric(measure, rows_of(candidates, context.stats), self.windows)
        values, sign = reading.values, self.sign or measure.sign
        warm = [(sign * value, place) for place, value in enumerate(values) if value is not None]
        warm.sort()
        order = [candidates[place] for _, place in warm]
        if context.trail is not None:
            self._note(candidates, reading, context.trail)
        if len(order) == len(candidates):
            return Ranking(order)
        cold = [candidates[place] for place, value in enumerate(values) if value is None]
        return self._explored(order, cold, context)

    def _explored(self, warm: list[Candidate], cold: list[Candidate], context: Context) -> Ranking:
        explore = self.explore if warm else 1.0
        uniform = context.entropy.uniform()
        if context.trail is not None:
            context.trail.note("explored", uniform < explore)
        if uniform >= explore:
            return Ranking(warm + cold, 1 - explore)
        # Below the threshold the same uniform, stretched, is again uniform: one draw does.
        drawn = min(int(uniform / explore * len(cold)), len(cold) - 1)
        first = cold.pop(drawn)
        return Ranking([first, *warm, *cold], explore / (len(cold) + 1))

    def _note(self, candidates: Sequence[Candidate], reading: Reading, trail: Trail) -> None:
        trail.note("metric", self.metric)
        trail.note("window", reading.window)
        for candidate, value in zip(candidates, reading.values, strict=True):
            trail.score(candidate, value, **({"cold": True} if value is None else {}))


class Measured(Windowed, frozen=True, kw_only=True):
    """What documents of routers that rank by one metric have in common.

    `explore` is the share of requests that goes to cold targets while others are warm.
    """

    spread: ClassVar = True

    explore: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.02

    def by(self, metric: Metric) -> ByMetric:
        """Return the ranking by ``metric``."""
        return ByMetric(metric, self.windows(), self.explore)


class Optimized(Measured, frozen=True, kw_only=True):
    """The document of an `optimized` router."""

    names: ClassVar = ("optimized",)

    metric: Metric = "latency"

    def strategy(
        self, _site: Site, _arms: Sequence[Arm], _targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the ranking by `metric`."""
        return self.by(self.metric)
