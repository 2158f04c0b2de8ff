"""What an experiment's statistics say about its rollout: promote, hold, or roll back.

A guard is judged twice, with confidence sequences, so that looking every second and changing shares
by what was seen leave its error at alpha: on all stretches of the experiment's version, each with
the candidate against the control of the same time (`evidence.pairing`), and on the present step
alone, since what went well for a week would hide for hours what goes wrong now. Harm in one of them
is harm; safe is what is safe in the whole. All guards, and the objective, share alpha evenly. Of a
guard's alpha the whole has one half, and the steps have the other: the first step is the whole, and
the k-th after it has 1 / (k (k + 1)), which adds up to 1 however often shares change.

Metrics count by assignment, fallbacks within the arm included. `error_rate` counts a request whose
first backend failed as well when a fallback saved it (`arm_sums`): otherwise a canary that fails
all the time behind a good fallback would look healthy, only slow.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from sidecar.evidence import (
    Guard,
    Interval,
    Patience,
    Srm,
    Statistic,
    Step,
    Verdict,
    decide_step,
    difference,
    interval,
    judge,
)
from sidecar.model import Experiment, Metric, Rollout, RolloutGuard
from sidecar.telemetry.experiments import ArmStats, Measured
from sidecar.telemetry.stretches import Arms, Record, srm_of

Stretched = Sequence[Statistic]
"""An arm: its sums in each stretch."""


class Watched(NamedTuple):
    """What the node that leads knows of a running experiment.

    ``step``: what its rollout has come to; ``None`` without one, or when the candidate has nothing.
    """

    experiment: Experiment
    stats: Arms
    record: Record
    srm: Srm
    step: Step | None


def sides(experiment: Experiment) -> tuple[str, str]:
    """Return the names of control and candidate."""
    rollout, arms = experiment.rollout, experiment.arms
    control = rollout.control if rollout and rollout.control else arms[0].name
    candidate = rollout.candidate if rollout and rollout.candidate else arms[-1].name
    return control, candidate


def shares_of(experiment: Experiment) -> dict[str, float]:
    """Return the share of each arm in percent."""
    return {arm.name: arm.share for arm in experiment.arms}


def ladder(experiment: Experiment, rollout: Rollout) -> tuple[list[float], int]:
    """Return the candidate's shares from step to step, and the place of the present one.

    A share between two steps, set by hand, is a step of its own. No step is more than what
    candidate and control have together: other arms keep theirs.
    """
    shares, (control, candidate) = shares_of(experiment), sides(experiment)
    most = round(shares[control] + shares[candidate], 9)
    steps = sorted({min(step, most) for step in rollout.steps} | {shares[candidate]})
    return steps, steps.index(shares[candidate])


def judge_step(
    experiment: Experiment, rollout: Rollout, record: Record, stats: Arms, now: float
) -> Step:
    """Return what to do with the candidate, and why; ``now`` as in the record."""
    steps, place = ladder(experiment, rollout)
    _, candidate = sides(experiment)
    last = place + 1 >= len(steps) - 1
    verdicts = _verdicts(experiment, rollout, record, stats, with_objective=last)
    patience = Patience(
        max(rollout.min_exposures, 1),
        # Beyond the last step nothing is left to compare with, whatever the share of it.
        None if last else rollout.max_exposures,
    )
    exposures = int(_exposures(record, stats, candidate))
    step = decide_step(steps, place, verdicts, exposures, srm_of(record, stats), patience)
    return _timely(step, rollout, record, now)


def metric_of(experiment: Experiment, name: str) -> Metric:
    """Return a metric of the experiment by its name; without one it is a mean of that name."""
    for metric in experiment.metrics:
        if metric.name == name:
            return metric
    kind = "proportion" if name == "error_rate" else "mean"
    return Metric(name, kind, "decrease", name)  # type: ignore[arg-type]


def statistic_of(metric: Metric, arm: ArmStats) -> Statistic:
    """Return the sums of one arm, scaled down as far as the values of one unit are alike."""
    return _statistic(metric, arm, arm).scaled(1 / _design_effect(metric, arm))


def _timely(step: Step, rollout: Rollout, record: Record, now: float) -> Step:
    """Hold a promotion for which it is too early, or that somebody wants to make by hand."""
    if step.action != "promote":
        return step
    waited = now - record.since
    reason = None
    if not rollout.automatic:
        reason = f"held by hand; else: promote, {step.reason}"
    elif not record.last.settled:
        reason = "answers to requests of the step before are still coming in"
    elif waited < rollout.hold_seconds:
        reason = f"{waited:.0f} of {rollout.hold_seconds:g} seconds"
    if reason is None:
        return step
    return msgspec.structs.replace(step, action="hold", reason=reason, share=step.evidence.share)


def _exposures(record: Record, stats: Arms, candidate: str) -> float:
    """Return the candidate's requests since the present shares settled."""
    if not record.last.settled or candidate not in stats:
        return 0.0
    before = record.last.before.get(candidate)
    return stats[candidate].assigned - (before.assigned if before else 0.0)


def _verdicts(
    experiment: Experiment, rollout: Rollout, record: Record, stats: Arms, *, with_objective: bool
) -> list[Verdict]:
    names = sides(experiment)
    parts = record.parts(stats)
    alpha = rollout.alpha / max(1, len(rollout.guards) + (rollout.objective is not None))
    verdicts = []
    for guard in rollout.guards:
        metric = metric_of(experiment, guard.metric)
        pair = [_arm(metric, parts, stats, name) for name in names]
        asked = Guard(**msgspec.structs.asdict(guard))
        whole = judge(asked, pair[0], pair[1], alpha / 2, level=metric.q)
        now = _in_step(asked, metric, pair, record, alpha / 2)
        verdicts.append(whole if now is None or now.state != "harm" else now)
    if rollout.objective is not None and with_objective:
        metric = metric_of(experiment, rollout.objective)
        pair = [_arm(metric, parts, stats, name) for name in names]
        verdicts.append(_reached(metric, pair, alpha))
    return verdicts


def _in_step(
    guard: Guard, metric: Metric, pair: Sequence[Stretched], record: Record, alpha: float
) -> Verdict | None:
    """Return what the present step alone says; ``None`` of the first, which is the whole."""
    k = record.changes
    if not k:
        return None
    control, candidate = (arm[record.began :] for arm in pair)
    found = judge(guard, control, candidate, alpha / (k * (k + 1)), level=metric.q)
    return msgspec.structs.replace(found, reason=f"in this step, {found.reason}")


def _reached(metric: Metric, pair: Sequence[Stretched], alpha: float) -> Verdict:
    """Return "safe" when the candidate is better for certain; not being so does no harm."""
    control, candidate = pair
    found = difference(control, candidate, alpha, level=metric.q)
    better = found.low is not None and found.low > 0
    if metric.direction == "decrease":
        better = found.high is not None and found.high < 0
    reason = "is better" if better else "is not known to be better"
    return Verdict(metric.name, "safe" if better else "unclear", found, reason)


def _arm(
    metric: Metric, parts: Sequence[Mapping[str, ArmStats]], stats: Arms, name: str
) -> Stretched:
    whole = stats.get(name, _NOTHING)
    scale = 1 / _design_effect(metric, whole)
    return [_statistic(metric, part.get(name, _NOTHING), whole).scaled(scale) for part in parts]


_NOTHING = ArmStats()
_UNMEASURED = Measured()


def _statistic(metric: Metric, part: ArmStats, whole: ArmStats) -> Statistic:
    """Return a part's sums; of which kind they are is up to the whole: a part may be empty."""
    found = _measured(metric, part)
    if metric.kind != "ratio":
        return found.statistic(metric.kind)
    return found.ratio if _measured(metric, whole).ratio.y else found.moments


def _measured(metric: Metric, arm: ArmStats) -> Measured:
    key = metric.name if metric.kind == "ratio" else metric.of
    scope = arm.as_served if key == "error_rate" else arm.metrics
    return scope.get(key, _UNMEASURED)


def _design_effect(metric: Metric, arm: ArmStats) -> float:
    """Return by how much a unit's values are alike; times and tokens as the latency tells it."""
    known = arm.metrics.get(metric.of)
    if known is None or not known.parts:
        known = arm.metrics.get("latency_ms", _UNMEASURED)
    return known.design_effect


Figures = dict[str, dict[str, Interval]]


def figures(
    experiment: Experiment, stats: Arms, names: Sequence[str], alpha: float = 0.05
) -> Figures:
    """Return the interval of each arm in each of the metrics called ``names``: arm → metric."""
    metrics = [metric_of(experiment, name) for name in names]
    return {
        arm.name: {
            metric.name: interval(
                statistic_of(metric, stats.get(arm.name, _NOTHING)), alpha, level=metric.q
            )
            for metric in metrics
        }
        for arm in experiment.arms
    }


def sentence(experiment: Experiment, step: Step, found: Figures) -> str:
    """Return what was done and why, for the history; ``found``: of the guards' metrics.

    "rolled back from 5 %: error_rate 0.034 [0.021, 0.049] over 0.008 [0.003, 0.014], limit +0.01".
    """
    before = f"{step.evidence.share:g} %"
    if step.action == "promote":
        return f"promoted from {before} to {step.share:g} %: {step.reason}"
    control, candidate = sides(experiment)
    guards = experiment.rollout.guards if experiment.rollout else ()
    harm = [each.metric for each in step.evidence.verdicts if each.state == "harm"]
    reasons = [
        f"{guard.metric} {_shown(found[candidate][guard.metric])} "
        f"over {_shown(found[control][guard.metric])}, limit {_limit(guard)}"
        for guard in guards
        if guard.metric in harm
    ]
    return f"rolled back from {before}: {'; '.join(reasons)}"


def _shown(found: Interval) -> str:
    if found.estimate is None:
        return "unknown"
    low, high = ("?" if end is None else f"{end:.3g}" for end in (found.low, found.high))
    return f"{found.estimate:.3g} [{low}, {high}]"


def _limit(guard: RolloutGuard) -> str:
    if guard.max_increase is not None:
        return f"+{guard.max_increase:g}"
    if guard.max_decrease is not None:
        return f"-{guard.max_decrease:g}"
    return f"x {guard.max_ratio or guard.min_ratio:g}"
