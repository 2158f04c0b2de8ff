"""What experiments have shown: sums per arm in Redis, which any number of nodes add to.

One hash per experiment and version, ``{prefix}experiment:{name}:{version}``, with fields
``{arm}|{what}|{component}`` and, of whoever adds, ``node:{node}``.

=================  =============================================================================
what               of which requests
=================  =============================================================================
``assigned``       all that were put into the arm (component ``n``)
``served``         those that the arm's own first backend answered (component ``n``)
``metric:NAME``    all that were put into the arm and have the metric: by assignment
``served:NAME``    those whose last attempt was at the arm's own first backend: as served; but
                   error_rate is of all, and 1 as well when a fallback saved the request, or
                   when the arm had nothing to try
                   (`error_rate`: all, see `arm_sums`)
``part<k>:NAME``   like ``metric:NAME``, of the units in part k of `PARTS`: how alike they are
=================  =============================================================================

Components are the fields of `evidence`'s sums: ``n total squares cubes`` of Moments (and of
Proportion), ``x y xx yy xy`` of Ratio, and ``b<index>`` of Histogram's buckets.
"""

import re
from collections.abc import Awaitable, Mapping
from typing import Any, Literal, Protocol, Self

import msgspec

from sidecar.evidence import Histogram, Moments, Proportion, Ratio, Statistic, design_effect
from sidecar.evidence.histogram import HIGHEST, LOWEST

Kind = Literal["proportion", "mean", "quantile", "ratio"]

BUILT_IN: Mapping[str, Kind] = {
    "error_rate": "proportion",
    "latency_ms": "mean",
    "ttft_ms": "mean",
    "tokens_per_second": "ratio",
    "input_tokens": "mean",
    "output_tokens": "mean",
    "cost_usd": "mean",
}
"""Metrics that every experiment has. `latency_ms` and `ttft_ms` have histograms as well."""

PARTS = 32
"""Units are split into so many parts by their digest; see `evidence.design_effect`."""

_LARGEST = 1e60
"""Of sums: what is over it cannot be squared often enough."""
_MOST = 1e15
"""Of counts: beyond, adding one changes nothing."""
_BUCKET = re.compile(r"b-?[0-9]{1,4}")
_MOMENTS = frozenset(Moments.__struct_fields__)
_RATIO = frozenset(Ratio.__struct_fields__) - _MOMENTS


class Hashes(Protocol):
    """What is needed of redis.asyncio's clients to read."""

    def hgetall(self, name: str, /) -> Awaitable[Mapping[Any, Any]]:
        """Return all fields of a hash."""


class Measured(msgspec.Struct, omit_defaults=True):
    """One metric of one arm: every sum that was kept of it. JSON as it stands."""

    moments: Moments = msgspec.field(default_factory=Moments)
    histogram: Histogram = msgspec.field(default_factory=Histogram)
    """Empty but for latency_ms, ttft_ms and feedback of kind `quantile`."""
    ratio: Ratio = msgspec.field(default_factory=Ratio)
    """Empty but for tokens_per_second: tokens over seconds."""
    parts: dict[int, Moments] = {}
    """By part of the units; only of metrics by assignment that stick to a key."""

    def statistic(self, kind: Kind) -> Statistic:
        """Return the sums as that which `evidence` compares."""
        if kind == "proportion":
            return Proportion(self.moments.n, min(max(self.moments.total, 0.0), self.moments.n))
        if kind == "quantile":
            return self.histogram
        return self.ratio if kind == "ratio" and self.ratio.y else self.moments

    @property
    def design_effect(self) -> float:
        """By how much values of one unit vary together; 1 when it cannot be told."""
        return design_effect(self.parts.values())

    def since(self, earlier: "Measured") -> "Measured":
        """Return what came after ``earlier`` was read."""
        return Measured(
            self.moments.merge(earlier.moments.scaled(-1)),
            _less(self.histogram, earlier.histogram),
            self.ratio.merge(earlier.ratio.scaled(-1)),
            {
                place: part.merge(earlier.parts[place].scaled(-1))
                if place in earlier.parts
                else part
                for place, part in self.parts.items()
            },
        )


class ArmStats(msgspec.Struct, omit_defaults=True):
    """What is known of one arm. JSON as it stands, so a step of a rollout can keep where it began.

    ``assigned`` and ``served`` count requests; ``metrics`` are by assignment (intention to treat),
    ``as_served`` are of the requests that the arm's own first backend was the last to try.
    """

    assigned: float = 0.0
    served: float = 0.0
    metrics: dict[str, Measured] = {}
    as_served: dict[str, Measured] = {}

    def since(self, earlier: Self) -> "ArmStats":
        """Return what came after ``earlier`` was read: a stretch of time of its own."""
        return ArmStats(
            self.assigned - earlier.assigned,
            self.served - earlier.served,
            _since(self.metrics, earlier.metrics),
            _since(self.as_served, earlier.as_served),
        )


async def read(redis: Hashes, prefix: str, experiment: str, version: int) -> dict[str, ArmStats]:
    """Return the sums of all nodes by arm; an arm without any request is absent.

    Raises what the client raises. Fields that are not ours are passed over.
    """
    return parse(await redis.hgetall(hash_key(prefix, experiment, version)))


def hash_key(prefix: str, experiment: str, version: int) -> str:
    """Return the key of the hash with the sums of one experiment."""
    return f"{prefix}experiment:{experiment}:{version}"


def parse(fields: Mapping[Any, Any]) -> dict[str, ArmStats]:
    """Return the sums by arm from a hash as Redis gives it, decoded or not.

    A metric whose sums no values could give, since somebody spoiled them, counts as not measured.
    """
    arms: dict[str, ArmStats] = {}
    for raw, value in fields.items():
        arm, what, component = _split(raw)
        number = _number(value)
        if component and number is not None:
            _put(arms.setdefault(arm, ArmStats()), what, component, number)
    for stats in arms.values():
        stats.metrics, stats.as_served = _sound(stats.metrics), _sound(stats.as_served)
    return arms


def _split(raw: Any) -> tuple[str, str, str]:
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    arm, _, rest = text.partition("|")
    what, _, component = rest.partition("|")
    return arm, what, component


def _number(value: Any) -> float | None:
    """Return a number that can be squared and divided by; ``None`` of what is none."""
    try:
        number = float(value)
    except ValueError:
        return None
    if not abs(number) <= _LARGEST:
        return None
    return number if abs(number) >= 1 / _LARGEST else 0.0


def _put(arm: ArmStats, what: str, component: str, number: float) -> None:
    if what == "assigned":
        arm.assigned = max(0.0, number)
    elif what == "served":
        arm.served = max(0.0, number)
    scope, _, metric = what.partition(":")
    if scope == "metric":
        _add(arm.metrics.setdefault(metric, Measured()), component, number)
    elif scope == "served" and metric:
        _add(arm.as_served.setdefault(metric, Measured()), component, number)
    elif scope.startswith("part") and scope[4:].isdecimal() and component in _MOMENTS:
        parts = arm.metrics.setdefault(metric, Measured()).parts
        setattr(parts.setdefault(int(scope[4:]), Moments()), component, number)


def _add(measured: Measured, component: str, number: float) -> None:
    if component in _RATIO:
        setattr(measured.ratio, component, number)
        return
    if component == "n":
        measured.ratio.n = measured.moments.n = number
    elif component in _MOMENTS:
        setattr(measured.moments, component, number)
    elif _BUCKET.fullmatch(component) and LOWEST <= int(component[1:]) <= HIGHEST:
        measured.histogram.counts[int(component[1:])] = number


def _since(now: Mapping[str, Measured], earlier: Mapping[str, Measured]) -> dict[str, Measured]:
    return _sound(
        {
            name: measured.since(earlier[name]) if name in earlier else measured
            for name, measured in now.items()
        }
    )


def _sound(metrics: Mapping[str, Measured]) -> dict[str, Measured]:
    return {name: each for name, each in metrics.items() if _is_sound(each)}


def _is_sound(measured: Measured) -> bool:
    """Whether there are values with these sums: they must keep to Cauchy's inequality."""
    ratio = measured.ratio
    return (
        all(_keeps(one.n, one.squares, one.total) for one in measured.parts.values())
        and _keeps(measured.moments.n, measured.moments.squares, measured.moments.total)
        and _keeps(ratio.n, ratio.xx, ratio.x)
        and _keeps(ratio.n, ratio.yy, ratio.y)
        and _keeps(ratio.xx, ratio.yy, ratio.xy)
        and all(0 <= count <= _MOST for count in measured.histogram.counts.values())
    )


def _keeps(one: float, other: float, mixed: float) -> bool:
    """Rounding may leave a crumb where feedback was taken back or stretches are told apart."""
    least = -1e-9
    return one >= least and other >= least and mixed**2 <= one * other * (1 + 1e-6) + 1e-9


def _less(now: Histogram, earlier: Histogram) -> Histogram:
    counts = {place: n - earlier.counts.get(place, 0.0) for place, n in now.counts.items()}
    return Histogram({place: n for place, n in counts.items() if n > 0})
