"""Arms' sums turned into what `evidence` compares: per metric, per stretch of time."""

import math
from collections.abc import Mapping, Sequence

import msgspec

from sidecar.evidence import (
    Assigned,
    Guard,
    Moments,
    Proportion,
    Ratio,
    Srm,
    Statistic,
    Verdict,
    design_effect,
    judge_all,
    srm_over,
)
from sidecar.model import Experiment, Metric
from sidecar.telemetry.experiments import BUILT_IN, PARTS, ArmStats, Measured


class Stretch(msgspec.Struct, frozen=True):
    """What the arms got while the shares, in percent, stayed the same."""

    shares: Mapping[str, float]
    arms: Mapping[str, ArmStats]


class Learned(msgspec.Struct, frozen=True):
    """All that is known of an experiment: per arm, and the same by stretches of time."""

    arms: Mapping[str, ArmStats]
    stretches: Sequence[Stretch]

    @classmethod
    def at_once(cls, experiment: Experiment, arms: Mapping[str, ArmStats]) -> "Learned":
        """Return what was learned when the shares have always been those of now."""
        return cls(arms, [Stretch({arm.name: arm.share for arm in experiment.arms}, arms)])


def sums(metric: Metric, arm: ArmStats, *, served: bool = False) -> Statistic:
    """Return the arm's sums of a metric, by assignment or as served; empty ones of nothing."""
    measured = arm.as_served if served else arm.metrics
    of = measured.get(metric.of) or Measured()
    match metric.kind:
        case "proportion":
            return Proportion(of.moments.n, of.moments.total)
        case "quantile":
            return of.histogram
        case "mean":
            return of.moments
        case _ if metric.per is None:
            return of.ratio
    per = measured.get(metric.per) or Measured()
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
    effect = effect_of(metric, learned.arms.get(arm) or ArmStats())
    parts = [one.arms.get(arm) or ArmStats() for one in learned.stretches]
    return [honest(sums(metric, part), effect) for part in parts]


def split(learned: Learned) -> Srm:
    """Return whether requests reached the arms as the shares say.

    Units are drawn, and requests are counted: when some units ask a lot, counts vary more than
    draws do. Parts of the units tell by how much, and each request weighs so much less.
    """
    weight = 1 / _split_effect(learned.arms)
    return srm_over(
        [
            Assigned({name: arm.assigned * weight for name, arm in one.arms.items()}, one.shares)
            for one in learned.stretches
        ]
    )


def verdicts(experiment: Experiment, learned: Learned) -> list[Verdict]:
    """Judge the guards of the experiment's rollout; none when it has no rollout."""
    rollout = experiment.rollout
    if rollout is None or not rollout.guards:
        return []
    guards = [Guard(**msgspec.structs.asdict(guard)) for guard in rollout.guards]
    asked = {guard.metric for guard in guards}
    ours, theirs = (
        {one.name: series(one, learned, arm) for one in experiment.metrics if one.name in asked}
        for arm in (experiment.arms[0].name, experiment.arms[-1].name)
    )
    return judge_all(guards, ours, theirs, rollout.alpha)


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


def _split_effect(arms: Mapping[str, ArmStats]) -> float:
    """Return by how much requests of one unit go the same way, at most over all arms.

    It is `evidence.design_effect` of "the request is in this arm".
    """
    counts = {name: _requests_by_part(arm) for name, arm in arms.items()}
    totals = [sum(each[place] for each in counts.values()) for place in range(PARTS)]
    effects = [
        design_effect([Proportion(n, own) for n, own in zip(totals, each, strict=True)])
        for each in counts.values()
    ]
    return max(effects, default=1.0)


def _requests_by_part(arm: ArmStats) -> list[float]:
    known = arm.metrics.get("error_rate") or Measured()
    return [known.parts[place].n if place in known.parts else 0.0 for place in range(PARTS)]
