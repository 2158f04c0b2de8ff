"""Estimates and intervals: of one arm, and of what lies between two."""

from collections.abc import Sequence

from sidecar.evidence import (
    Interval,
    Moments,
    Proportion,
    Statistic,
    beta,
    difference,
    interval,
    normals,
    probability_better,
    ratio,
)
from sidecar.model import Metric
from sidecar.report.figures import Learned, effect_of, honest, series, sums
from sidecar.report.report import Between, Figure, Verdictive
from sidecar.telemetry.experiments import ArmStats

NO_VALUES = "no values yet"
TOO_FEW = "too few values for an interval"
"""Asymptotic intervals need 100 values per arm."""


def figure_of(metric: Metric, arm: ArmStats, alpha: float, *, served: bool = False) -> Figure:
    """Return one arm's estimate and interval, by assignment or as served."""
    found, effect = sums(metric, arm, served=served), effect_of(metric, arm)
    values = _values(metric, arm, found, served=served)
    if values == 0:
        return Figure(0, None, None, None, note=NO_VALUES)
    return _as_figure(interval(honest(found, effect), alpha, level=metric.q), values, effect)


def _values(metric: Metric, arm: ArmStats, found: Statistic, *, served: bool) -> float:
    """Return how many values there are: of a quotient, those of what it is made of."""
    if metric.per is None or metric.name in arm.metrics:
        return found.n
    measured = arm.as_served if served else arm.metrics
    return measured[metric.of].moments.n if metric.of in measured else 0.0


def _as_figure(found: Interval, n: float, effect: float = 1.0) -> Figure:
    unknown = found.low is None and found.high is None
    note = "" if not unknown else NO_VALUES if found.estimate is None else TOO_FEW
    ends = found.estimate, found.low, found.high
    return Figure(round(n), *ends, design_effect=round(effect, 2), note=note)


def between(
    metric: Metric, learned: Learned, arms: tuple[str, str], alpha: float, directed: bool
) -> Between:
    """Return what lies between two ``arms``, control and candidate, by assignment."""
    ours, theirs = (series(metric, learned, arm) for arm in arms)
    less = difference(ours, theirs, alpha, level=metric.q)
    by = ratio(ours, theirs, alpha, level=metric.q)
    n = sum(_count(metric, learned.arm(arm)) for arm in arms)
    return Between(
        _as_figure(less, n),
        _as_figure(by, n),
        _verdict(metric, less) if directed else "unclear",
        _probability_better(metric, ours, theirs) if directed else None,
    )


def _count(metric: Metric, arm: ArmStats) -> float:
    return _values(metric, arm, sums(metric, arm), served=False)


def _verdict(metric: Metric, found: Interval) -> Verdictive:
    more = found.low is not None and found.low > 0
    less = found.high is not None and found.high < 0
    if not more and not less:
        return "unclear"
    return "better" if more == (metric.direction == "increase") else "worse"


def _probability_better(
    metric: Metric, ours: Sequence[Statistic], theirs: Sequence[Statistic]
) -> float | None:
    control, candidate = (_merged(arm) for arm in (ours, theirs))
    less = metric.direction == "decrease"
    if not control.n or not candidate.n:
        return None
    if isinstance(control, Proportion) and isinstance(candidate, Proportion):
        return probability_better(beta(control), beta(candidate), less=less)
    if isinstance(control, Moments) and isinstance(candidate, Moments):
        both = normals([control, candidate])
        return probability_better(*both, less=less)
    return None


def _merged(parts: Sequence[Statistic]) -> Statistic:
    first, *rest = parts
    for each in rest:
        first = first.merge(each)  # type: ignore[arg-type]
    return first
