"""From an experiment and what was learned to its report."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from sidecar.evidence import (
    Finding,
    Interval,
    Moments,
    Proportion,
    Srm,
    Statistic,
    beta,
    difference,
    interval,
    normals,
    probability_better,
    ratio,
    recommend,
)
from sidecar.model import Direction, Experiment, Metric
from sidecar.report.figures import NOTHING, Learned, effect_of, honest, series, sums
from sidecar.report.report import (
    ArmReport,
    Between,
    Figure,
    MetricReport,
    Report,
    RolloutReport,
    Verdictive,
)
from sidecar.telemetry.experiments import BUILT_IN, ArmStats
from sidecar.telemetry.rollout import judge_step, sides
from sidecar.telemetry.stretches import srm_of

ALPHA = 0.05
NO_VALUES = "no values yet"
TOO_FEW = "too few values for an interval"
"""Asymptotic intervals need 100 values per arm."""

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
            each.name: _between(each, learned, (control, name), levels.between, each in directed)
            for each in metrics
        }
        for name in others
    }
    advice = _advice(control, against, deciding, srm)
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
        notes=[*_notes(experiment, learned.arms, earlier)],
        recommendation=_recommendation(experiment, learned.arms, rollout, advice),
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


# ── arms ───────────────────────────────────────────────────────────────────


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
            metrics={each.name: _figure(each, stats, levels.arm) for each in metrics},
            as_served={
                each.name: _figure(each, stats, levels.arm, served=True) for each in metrics
            },
        )
    return reports


def _figure(metric: Metric, arm: ArmStats, alpha: float, *, served: bool = False) -> Figure:
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


# ── between two ────────────────────────────────────────────────────────────


def _between(
    metric: Metric, learned: Learned, arms: tuple[str, str], alpha: float, directed: bool
) -> Between:
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


# ── rollout, notes, advice ─────────────────────────────────────────────────


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


def _notes(
    experiment: Experiment, arms: Mapping[str, ArmStats], earlier: Mapping[int, float]
) -> Iterator[str]:
    empty = [arm.name for arm in experiment.arms if not arms.get(arm.name, NOTHING).assigned]
    if len(empty) == len(experiment.arms):
        yield "No request has been assigned yet."
    else:
        for name in empty:
            yield f"No request has been assigned to {name} yet."
    gone = sorted(arms.keys() - {arm.name for arm in experiment.arms})
    if gone:
        yield f"There are requests in arms that the experiment does not have: {', '.join(gone)}."
    for version, requests in sorted(earlier.items()):
        yield (
            f"Version {version} had {requests:,.0f} requests, which do not count: "
            f"this is version {experiment.version}."
        )


_STATES = {
    "draft": "The experiment is a draft and assigns nobody",
    "paused": "The experiment is paused and assigns nobody",
    "stopped": "The experiment is stopped",
}


def _recommendation(
    experiment: Experiment,
    arms: Mapping[str, ArmStats],
    rollout: RolloutReport | None,
    advice: str,
) -> str:
    """Return one sentence; harm that a guard sees comes before all else."""
    state = _STATES.get(experiment.state)
    if not sum(arm.assigned for arm in arms.values()):
        start = "set its state to running" if state else "no request has been assigned yet"
        return f"{state or 'Wait'}: {start}."
    if rollout is not None and rollout.action == "roll_back":
        back = "Leave {0} at 0 %: {1}." if rollout.share == 0 else "Roll {0} back: {1}."
        advice = back.format(rollout.candidate, rollout.reason)
    return f"{state}: {advice[0].lower()}{advice[1:]}" if state else advice


def _advice(
    control: str,
    against: Mapping[str, Mapping[str, Between]],
    deciding: Sequence[Metric],
    srm: Srm,
) -> str:
    """Return what to do about the candidate; of several, about those that can be told apart."""
    said = {
        name: recommend(control, name, _findings(found, deciding), srm)
        for name, found in against.items()
    }
    if srm.flag or len(said) <= 1:
        return next(iter(said.values()), f"{control} is alone: add an arm to compare it with.")
    clear = [text for text in said.values() if not text.startswith("Go on")]
    told = "; ".join(text.rstrip(".") for text in clear)
    return f"{told}." if told else f"Go on: no arm can be told from {control} yet."


def _findings(found: Mapping[str, Between], deciding: Sequence[Metric]) -> list[Finding]:
    return [
        Finding(
            each.name,
            "up" if each.direction == "increase" else "down",
            _interval(found[each.name].difference),
        )
        for each in deciding
    ]


def _interval(figure: Figure) -> Interval:
    return Interval(figure.n, figure.estimate, figure.low, figure.high)
