"""Experiments: which arms there are, and which one a request was put into."""

from typing import Literal, NamedTuple

import msgspec

State = Literal["draft", "running", "paused", "stopped"]
"""Only a running one assigns. A paused one keeps its place in its group; a stopped one is over."""
MetricKind = Literal["proportion", "mean", "quantile", "ratio"]
Direction = Literal["increase", "decrease"]
"""Where a metric is better."""

MOST_ASSIGNMENTS = 8
"""Of one decision, in what Envoy is told; routers in routers hardly come to two."""


class Assignment(NamedTuple):
    """An effect of a plan: this request is in ``arm`` of ``experiment``.

    ``version`` tells runs of an experiment apart: what was learned under another one counts no
    more. ``propensity`` is the probability of this arm for this unit or draw; ``unit`` is a digest
    of the key that the choice sticks to (16 hex digits, empty when it was drawn); ``bucket`` is the
    context in which a bandit chose. ``missed``: the arm had nothing to try, so that whoever answers
    is not of the arm.
    """

    experiment: str
    version: int
    arm: str
    propensity: float
    unit: str = ""
    bucket: str = ""
    missed: bool = False


class Arm(msgspec.Struct, frozen=True):
    """An arm: its name, and its share of the experiment's units in percent."""

    name: str
    share: float


class Metric(msgspec.Struct, frozen=True):
    """What arms are compared by.

    ``of`` is what is measured per request: a built-in metric, or one that feedback reports. A
    quantile has its level in ``q``; a ratio is the sum of ``of`` by the sum of ``per``.
    """

    name: str
    kind: MetricKind
    direction: Direction
    of: str
    per: str | None = None
    q: float | None = None


class RolloutGuard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the candidate must keep to against the control: exactly one limit is set."""

    metric: str
    max_increase: float | None = None
    max_decrease: float | None = None
    max_ratio: float | None = None
    min_ratio: float | None = None


class Rollout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one arm, the candidate, gets its share from another, the control.

    ``steps``: its shares in percent, ascending. ``objective``: the metric that should get better.
    ``alpha``: how often a roll-back may be false. ``candidate`` and ``control``: names of arms,
    empty for the last and for the first. ``hold_seconds``: the least time of a step.
    ``automatic``: whether the sidecar climbs steps by itself; guards roll back either way.
    """

    steps: tuple[float, ...]
    guards: tuple[RolloutGuard, ...] = ()
    objective: str | None = None
    min_exposures: int = 0
    max_exposures: int | None = None
    alpha: float = 0.05
    candidate: str = ""
    control: str = ""
    hold_seconds: float = 0.0
    automatic: bool = True


class Experiment(msgspec.Struct, frozen=True):
    """An experiment as it is configured: all that its statistics need, and who is in which arm.

    ``metrics``: by name, those of the document and those that its rollout names.
    """

    name: str
    arms: tuple[Arm, ...]
    version: int = 1
    state: State = "draft"
    key: str = "user.id"
    salt: str = ""
    group: str | None = None
    metrics: tuple[Metric, ...] = ()
    rollout: Rollout | None = None
    description: str = ""
