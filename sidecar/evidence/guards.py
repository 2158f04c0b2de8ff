"""Guards of a rollout: is the candidate harmful, is it safe, or can that not be told yet?"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from sidecar.evidence.boundary import TIGHT_AT
from sidecar.evidence.interval import Interval
from sidecar.evidence.intervals import Arm, difference, ratio

State = Literal["harm", "safe", "unclear"]

_LEVEL = re.compile(r"(?:^|_)p(\d+)(?=_|$)")


class Guard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the candidate must keep to, against the control; exactly one limit.

    ``{"metric": "error_rate", "max_increase": 0.01}``: at most one percentage point more.
    ``{"metric": "ttft_p95_ms", "max_ratio": 1.2}``: at most a fifth longer.
    `max_decrease` and `min_ratio` are for metrics of which more is better.
    """

    metric: str
    max_increase: float | None = None
    max_decrease: float | None = None
    max_ratio: float | None = None
    min_ratio: float | None = None

    def __post_init__(self) -> None:
        limits = {name: getattr(self, name) for name in _LIMITS}
        given = {name: limit for name, limit in limits.items() if limit is not None}
        if len(given) != 1:
            raise ValueError(f"a guard has one of {', '.join(_LIMITS)}, not {len(given)}")
        (name, limit), *_ = given.items()
        least = 0 if name in {"max_increase", "max_decrease"} else 1e-9
        if not least <= limit < float("inf"):
            raise ValueError(f"{name} {limit} is not a limit")

    @property
    def limit(self) -> "Limit":
        """The one limit that is set."""
        if self.max_increase is not None:
            return Limit("difference", "above", self.max_increase)
        if self.max_decrease is not None:
            return Limit("difference", "below", -self.max_decrease)
        if self.max_ratio is not None:
            return Limit("ratio", "above", self.max_ratio)
        return Limit("ratio", "below", self.min_ratio or 0.0)


_LIMITS = ("max_increase", "max_decrease", "max_ratio", "min_ratio")


class Limit(NamedTuple):
    """Harm is a ``measure`` on that ``side`` of ``value``."""

    measure: Literal["difference", "ratio"]
    side: Literal["above", "below"]
    value: float


class Verdict(msgspec.Struct, frozen=True):
    """What a guard says, by which interval, in words."""

    metric: str
    state: State
    interval: Interval
    reason: str


def judge(
    guard: Guard,
    control: Arm,
    candidate: Arm,
    alpha: float,
    *,
    tight_at: float = TIGHT_AT,
    level: float | None = None,
) -> Verdict:
    """Return "harm" when the whole interval is beyond the limit, "safe" when it is all within.

    The level of a quantile is read from the metric's name (`level_of`) unless it is given. Raises
    ValueError for arms that do not compare.
    """
    limit, level = guard.limit, level or level_of(guard.metric)
    between = difference if limit.measure == "difference" else ratio
    found = between(control, candidate, alpha, level=level, tight_at=tight_at)
    state = _state(limit, found)
    return Verdict(guard.metric, state, found, _reason(limit, found, state, alpha))


def judge_all(
    guards: Sequence[Guard],
    control: Mapping[str, Arm],
    candidate: Mapping[str, Arm],
    alpha: float,
    *,
    tight_at: float = TIGHT_AT,
) -> list[Verdict]:
    """Judge every guard by the arms' statistics per metric; all together err alpha at most.

    Each guard gets alpha / (number of guards) (Bonferroni). A metric without values is unclear.
    """
    return [
        judge(
            guard,
            control[guard.metric],
            candidate[guard.metric],
            alpha / len(guards),
            tight_at=tight_at,
        )
        if guard.metric in control and guard.metric in candidate
        else Verdict(guard.metric, "unclear", Interval(0.0), "no values yet")
        for guard in guards
    ]


def level_of(metric: str) -> float | None:
    """Return the level that a metric's name states: ``ttft_p95_ms`` 0.95, ``latency_p999`` 0.999.

    The first two digits are percent, further ones are behind the point. None without one.
    """
    found = _LEVEL.search(metric)
    if not found or found[1] == "100":
        return None
    return float(f"0.{found[1]:0>2}") or None


def _state(limit: Limit, found: Interval) -> State:
    low, high = found.low, found.high
    if limit.side == "below":
        low, high = (None if high is None else -high), (None if low is None else -low)
    value = -limit.value if limit.side == "below" else limit.value
    if low is not None and low > value:
        return "harm"
    return "safe" if high is not None and high <= value else "unclear"


def _reason(limit: Limit, found: Interval, state: State, alpha: float) -> str:
    if found.low is None and found.high is None:
        return f"too little is known after {found.n:g} values"
    low, high = (_shown(end) for end in (found.low, found.high))
    place = {"harm": "is all beyond", "safe": "is all within", "unclear": "reaches over"}[state]
    interval = f"{low} to {high} ({100 * (1 - alpha):.4g} % interval)"
    return f"{limit.measure} {interval} {place} the limit {limit.value:g}"


def _shown(value: float | None) -> str:
    return "unbounded" if value is None else f"{value:.4g}"
