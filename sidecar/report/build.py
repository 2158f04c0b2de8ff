"""From an experiment and what was learned to its report."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from sidecar.model import Direction, Experiment, Metric
from sidecar.report.advice import advice_on, notes, recommendation
from sidecar.report.estimates import between, figure_of
from sidecar.report.figures import Learned
from sidecar.report.report import ArmReport, MetricReport, Report, RolloutReport
from sidecar.telemetry.experiments import BUILT_IN, ArmStats
from sidecar.telemetry.rollout import judge_step, sides
from sidecar.telemetry.stretches import srm_of

ALPHA = 0.05
_DIRECTIONS: Mapping[str, Direction | None] = {
    "tokens_per_second": "increase",
    "input_tokens": None,
    "output_tokens": None,
}
"""Of what is measured anyway, where it is not "decrease"."""
_UNITS = {
    "latency_ms": "ms",
    "ttft_ms": "ms",
    "tokens_per_second": "tokens/s",
    "input_tokens": "tokens",
    "output_tokens": "tokens",
    "cost_usd": "US$",
}


class _Levels(NamedTuple):
    """What each interval may err: of one arm, and of what lies between two."""

    arm: float
    between: float


def build(
    experiment: Experiment,
    learned: Learned,
    *,
    now: float,
    earlier: Mapping[int, float] = MappingProxyType({}),
) -> Report:
    """Return the report as of ``now``, Unix time.

    ``earlier``: the requests that earlier versions of the experiment had, by version.
    """
    metrics = [*_metrics(experiment, learned.arms)]
    control, _ = sides(experiment)
    others = [arm.name for arm in experiment.arms if arm.name != control]
    deciding = [each for each in metrics if _decides(each, experiment)]
    alpha = experiment.rollout.alpha if experiment.rollout else ALPHA
    levels = _Levels(alpha, alpha / max(1, len(deciding) * len(others)))
    srm = srm_of(learned.record, learned.arms)
    rollout = _rollout(experiment, learned, now)
    directed = [each for each in metrics if _direction(each, deciding)]
    against = {
        name: {
            each.name: between(each, learned, (control, name), levels.between, each in directed)
            for each in metrics
        }
        for name in others
    }
    advice = advice_on(control, against, deciding, srm)
    return Report(
        experiment=experiment.name,
        version=experiment.version,
        state=experiment.state,
        at=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        key=experiment.key,
        srm=srm,
        control=control,
        level=1 - levels.arm,
        level_between=1 - levels.between,
        metrics={each.name: _described(each, deciding) for each in metrics},
        arms=_arms(experiment, learned, metrics, levels),
        against_control=against,
        rollout=rollout,
        notes=[*notes(experiment, learned.arms, earlier)],
        recommendation=recommendation(experiment, learned.arms, rollout, advice),
    )


def _metrics(experiment: Experiment, arms: Mapping[str, ArmStats]) -> Iterator[Metric]:
    """Yield what to report: what the experiment names, then what is measured anyway."""
    yield from experiment.metrics
    known = {each.name for each in experiment.metrics}
    measured = {name for arm in arms.values() for name in arm.metrics}
    for name, kind in BUILT_IN.items():
        if name not in known and name in measured:
            yield Metric(name, kind, _DIRECTIONS.get(name) or "decrease", name)
    asked = {each.of for each in experiment.metrics if each.per is None}
    for name in sorted(measured - BUILT_IN.keys() - asked - known):
        yield Metric(name, "mean", "increase", name)


def _decides(metric: Metric, experiment: Experiment) -> bool:
    """Tell whether the recommendation goes by it: what the experiment names, else the usual."""
    if experiment.metrics:
        return metric in experiment.metrics
    return metric.name in {"error_rate", "latency_ms", "cost_usd"}


def _described(metric: Metric, deciding: Sequence[Metric]) -> MetricReport:
    return MetricReport(
        kind=metric.kind,
        unit=unit(metric),
        direction=_direction(metric, deciding),
        feedback=metric.of not in BUILT_IN,
        decides=metric in deciding,
    )


def _direction(metric: Metric, deciding: Sequence[Metric]) -> Direction | None:
    """Return where it is better; `None` for what is neither, unless the experiment says so."""
    neither = _DIRECTIONS.get(metric.name, metric.direction) is None
    return None if neither and metric not in deciding else metric.direction


def unit(metric: Metric) -> str:
    """Return the unit of a metric's estimates; empty when people gave the values."""
    if metric.kind == "proportion":
        return "share"
    if metric.kind == "ratio" and metric.per is not None:
        return f"{_UNITS.get(metric.of, metric.of)}/{_UNITS.get(metric.per, metric.per)}"
    return _UNITS.get(metric.of, "")


def _arms(
    experiment: Experiment, learned: Learned, metrics: Sequence[Metric], levels: _Levels
) -> dict[str, ArmReport]:
    expected = learned.expected()
    reports = {}
    for arm in experiment.arms:
        stats = learned.arm(arm.name)
        reports[arm.name] = ArmReport(
            share=arm.share,
            assigned=round(stats.assigned),
            expected=round(expected.get(arm.name, 0.0), 1),
            served=round(stats.served),
            metrics={each.name: figure_of(each, stats, levels.arm) for each in metrics},
            as_served={
                each.name: figure_of(each, stats, levels.arm, served=True) for each in metrics
            },
        )
    return reports


def _rollout(experiment: Experiment, learned: Learned, now: float) -> RolloutReport | None:
    """Return where the rollout is, and what its controller would do now."""
    rollout = experiment.rollout
    if rollout is None:
        return None
    found = judge_step(experiment, rollout, learned.record, learned.arms, now)
    share = found.evidence.share
    step = next((at for at, each in enumerate(rollout.steps) if math.isclose(each, share)), None)
    return RolloutReport(
        candidate=sides(experiment)[1],
        steps=rollout.steps,
        step=step,
        share=share,
        exposures=found.evidence.exposures,
        action=found.action,
        reason=found.reason,
        guards=found.evidence.verdicts,
    )
