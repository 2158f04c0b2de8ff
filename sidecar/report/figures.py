"""Arms' sums turned into what `evidence` compares: per metric, per stretch of time."""

import math
from collections.abc import Mapping

import msgspec

from sidecar.evidence import Moments, Ratio, Statistic
from sidecar.model import Experiment, Metric
from sidecar.telemetry.experiments import BUILT_IN, ArmStats, Measured
from sidecar.telemetry.rollout import shares_of
from sidecar.telemetry.stretches import Record, Stretch

NOTHING = ArmStats()
_UNMEASURED = Measured()


class Learned(msgspec.Struct, frozen=True):
    """All that is known of an experiment: its sums by arm, and the stretches they came in."""

    arms: Mapping[str, ArmStats]
    record: Record

    @classmethod
    def of(
        cls, experiment: Experiment, arms: Mapping[str, ArmStats], record: Record | None
    ) -> "Learned":
        """Return it; without a record the shares have always been those of now."""
        if record is None:
            record = Record((Stretch(0.0, shares_of(experiment), settled=True),))
        return cls(arms, record)

    def arm(self, name: str) -> ArmStats:
        """Return the sums of one arm; nothing when it has none."""
        return self.arms.get(name, NOTHING)

    def expected(self) -> dict[str, float]:
        """Return how many requests each arm should have got by the shares that there were."""
        found: dict[str, float] = {}
        for stretch, part in zip(self.record.stretches, self.record.parts(self.arms), strict=True):
            requests = sum(arm.assigned for arm in part.values())
            shares = sum(stretch.shares.values()) or 1.0
            for name, share in stretch.shares.items():
                found[name] = found.get(name, 0.0) + requests * share / shares
        return found


def sums(metric: Metric, arm: ArmStats, *, served: bool = False) -> Statistic:
    """Return the arm's sums of a metric, by assignment or as served; empty ones of nothing.

    Ratios are kept per request where they can be; what feedback has a part in comes on its own.
    """
    measured = arm.as_served if served else arm.metrics
    of = measured.get(metric.of, _UNMEASURED)
    if metric.kind != "ratio":
        return of.statistic(metric.kind)
    own = measured.get(metric.name, _UNMEASURED).ratio
    if own.n or metric.per is None:
        return own
    per = measured.get(metric.per, _UNMEASURED)
    return _quotient(of.moments, per.moments, arm.served if served else arm.assigned)


def honest(found: Statistic, effect: float) -> Statistic:
    """Return sums in which each value weighs less when values of one unit are alike."""
    return found if effect == 1 else found.scaled(1 / effect)


def effect_of(metric: Metric, arm: ArmStats) -> float:
    """Return by how much an arm's values of one unit vary together: 1 when they are independent.

    Of a metric that is not kept by parts, the largest of those that always are.
    """
    own = arm.metrics.get(metric.of)
    if own is not None and own.parts:
        return own.design_effect
    known = [arm.metrics[name].design_effect for name in BUILT_IN if name in arm.metrics]
    return max(known, default=1.0)


def series(metric: Metric, learned: Learned, arm: str) -> list[Statistic]:
    """Return the arm's honest sums by assignment, one for each stretch."""
    effect = effect_of(metric, learned.arm(arm))
    parts = [part.get(arm, NOTHING) for part in learned.record.parts(learned.arms)]
    return [honest(sums(metric, part), effect) for part in parts]


def _quotient(x: Moments, y: Moments, n: float) -> Ratio:
    """Return the sum of x by the sum of y over ``n`` requests; what was not measured is 0.

    How both vary together is not kept. The worst case is taken: that they do so in opposite ways.
    """
    n = max(n, x.n, y.n)
    if not n:
        return Ratio()
    spreads = [max(0.0, each.squares - each.total**2 / n) for each in (x, y)]
    least = x.total * y.total / n - math.sqrt(math.prod(spreads))
    return Ratio(n, x.total, y.total, x.squares, y.squares, least)
