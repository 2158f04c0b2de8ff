"""What to do about an experiment, in one sentence, and what else is to be known of it."""

from collections.abc import Iterator, Mapping, Sequence

from sidecar.evidence import Finding, Interval, Srm, recommend
from sidecar.model import Experiment, Metric
from sidecar.report.figures import NOTHING
from sidecar.report.report import Between, Figure, RolloutReport
from sidecar.telemetry.experiments import ArmStats


def notes(
    experiment: Experiment, arms: Mapping[str, ArmStats], earlier: Mapping[int, float]
) -> Iterator[str]:
    """Yield what stands in the way of reading the figures."""
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


def recommendation(
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


def advice_on(
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
