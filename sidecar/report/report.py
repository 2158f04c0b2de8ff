"""What an experiment has shown, as values: JSON as it stands, `null` where nothing is known."""

from typing import Literal

import msgspec

from sidecar.evidence import Action, Srm, Verdict
from sidecar.model import Direction, MetricKind, State

Verdictive = Literal["better", "worse", "unclear"]


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """An estimate of one metric of one arm, in the metric's unit.

    ``n`` values; ``design_effect`` times fewer would tell as much if they were independent.
    ``note`` says in words why there is no estimate, or no interval.
    """

    n: int
    estimate: float | None
    low: float | None
    high: float | None
    design_effect: float = 1.0
    note: str = ""


class ArmReport(msgspec.Struct, frozen=True):
    """One arm. ``share`` in percent, as configured now; ``expected`` of the requests so far.

    ``metrics`` are by assignment (intention to treat): of all requests that were put into the arm,
    whoever answered. ``as_served`` are of those whose last attempt was at the arm's own first
    backend.
    """

    share: float
    assigned: int
    expected: float
    served: int
    metrics: dict[str, Figure]
    as_served: dict[str, Figure]


class Between(msgspec.Struct, frozen=True):
    """An arm against the control: ``difference`` is the arm's value minus the control's.

    ``probability_better`` is Bayesian, from flat priors, and does not hold at all times at once;
    `null` for quantiles and ratios.
    """

    difference: Figure
    ratio: Figure
    verdict: Verdictive
    probability_better: float | None


class MetricReport(msgspec.Struct, frozen=True):
    """What a metric is. ``decides``: the recommendation goes by it."""

    kind: MetricKind
    unit: str
    direction: Direction | None
    feedback: bool
    decides: bool


class RolloutReport(msgspec.Struct, frozen=True):
    """Where the rollout is: ``step`` counts from 0, `null` when the share is none of the steps.

    ``share`` in percent; ``exposures`` are the candidate's requests in this step. ``action`` is
    what its controller would do now, and ``reason`` why.
    """

    candidate: str
    steps: tuple[float, ...]
    step: int | None
    share: float
    exposures: int
    action: Action
    reason: str
    guards: list[Verdict]


class Report(msgspec.Struct, frozen=True):
    """All of it. ``at``: ISO 8601, UTC. ``control``: the first arm.

    ``level`` is the confidence of each interval of an arm; ``level_between`` that of each
    comparison, higher since there are several.
    """

    experiment: str
    version: int
    state: State
    at: str
    key: str
    srm: Srm
    control: str
    level: float
    level_between: float
    metrics: dict[str, MetricReport]
    arms: dict[str, ArmReport]
    against_control: dict[str, dict[str, Between]]
    rollout: RolloutReport | None
    notes: list[str]
    recommendation: str
