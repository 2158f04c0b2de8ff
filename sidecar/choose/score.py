"""`score`: ceilings that a candidate must keep, and a weighted sum of metrics to rank by."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, get_args

import msgspec

from sidecar.choose.definition import Arm, Site
from sidecar.choose.measured import METRICS, read_metric, rows_of
from sidecar.choose.pricing import Dollars, Priced, prices_of, tokens_in, tokens_out
from sidecar.model import (
    BackendStats,
    Candidate,
    Context,
    Leaf,
    Ranking,
    Router,
    Strategy,
    Trail,
    Window,
)

Measurand = Literal["ttft", "latency", "error_rate", "cost", "in_flight", "tps", "requests"]
Values = Mapping[Measurand, Sequence[float | None]]
"""Metric → what is known of it, by the places of the candidates."""

Amount = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Weight = Annotated[float, msgspec.Meta(ge=0, le=1e6)]

_UNSEEN = BackendStats()
_BY_DEFAULT: tuple[Measurand, ...] = ("latency", "error_rate", "cost")


class Ceiling(NamedTuple):
    """The most that a metric may be; ``field``: where that is written."""

    metric: Measurand
    field: str
    limit: float


class ByScore(msgspec.Struct, frozen=True):
    """Ranks those that keep all ceilings by their score, the lowest first."""

    ceilings: tuple[Ceiling, ...]
    weights: tuple[tuple[Measurand, float], ...]
    """Metrics that count, with weights that add up to 1."""
    metrics: tuple[Measurand, ...]
    """Those of the ceilings and of the weights."""
    windows: tuple[Window, ...]
    expected: int
    rank_all: bool
    """When none keeps all ceilings: rank all by how far they exceed them, instead of none."""

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return those that qualify by score; equal ones keep the order of the targets.

        When none does, there are none, or all, with the smallest worst excess first.
        """
        values = self._values(candidates, context)
        excess = self._excess(values, len(candidates))
        places = qualified = [place for place, over in enumerate(excess) if not over]
        if not qualified and self.rank_all:
            context.warn("none_qualified")
            places = [*range(len(candidates))]
        scores = [0.0] * len(places)
        for metric, weight in self.weights:
            parts = normalised(values[metric], places, metric)
            scores = [score + weight * part for score, part in zip(scores, parts, strict=True)]
        if context.trail is not None:
            self._note(candidates, values, places, scores, context.trail)
        order = sorted(range(len(places)), key=scores.__getitem__)
        if not qualified:
            order.sort(key=excess.__getitem__)
        return Ranking([candidates[places[row]] for row in order])

    def _values(self, candidates: Sequence[Candidate], context: Context) -> Values:
        rows = rows_of(candidates, context.stats)
        found: dict[Measurand, Sequence[float | None]] = {}
        for metric in self.metrics:
            if metric == "cost":
                found[metric] = self._costs(candidates, context)
            elif metric == "in_flight":
                found[metric] = _in_flight(candidates, context)
            else:
                found[metric] = read_metric(METRICS[metric], rows, self.windows).values
        return found

    def _costs(self, candidates: Sequence[Candidate], context: Context) -> list[float]:
        """Return US dollars per million tokens, of which the request is expected to be."""
        request, prices = context.request, prices_of(candidates, context.now)
        answer = tokens_out(request, self.expected)
        if not answer or all(one.per_input_token == one.per_output_token for one in prices):
            return [one.per_input_token * 1e6 for one in prices]
        given = tokens_in(request)
        of_input, of_output = (part / (given + answer) * 1e6 for part in (given, answer))
        return [p.per_input_token * of_input + p.per_output_token * of_output for p in prices]

    def _excess(self, values: Values, count: int) -> list[float]:
        """Return by what factor each candidate exceeds its worst ceiling, 0 if it exceeds none."""
        excess = [0.0] * count
        for metric, _, limit in self.ceilings:
            over = [place for place, v in enumerate(values[metric]) if v is not None and v > limit]
            for place in over:
                factor = (values[metric][place] or 0.0) / limit if limit else inf
                excess[place] = max(excess[place], factor)
        return excess

    def _note(
        self,
        candidates: Sequence[Candidate],
        values: Values,
        places: Sequence[int],
        scores: Sequence[float],
        trail: Trail,
    ) -> None:
        trail.note("weights", dict(self.weights))
        parts = {metric: normalised(values[metric], places, metric) for metric, _ in self.weights}
        for place, candidate in enumerate(candidates):
            known = {metric: found[place] for metric, found in values.items()}
            if place in places:
                row = places.index(place)
                shares = {metric: found[row] for metric, found in parts.items()}
                trail.score(candidate, scores[row], values=known, parts=shares)
            else:
                trail.score(candidate, None, values=known)
                trail.exclude(candidate, self._why(known))

    def _why(self, known: Mapping[Measurand, float | None]) -> str:
        over = [
            f"{metric} {value:g} is over {field} {limit:g}"
            for metric, field, limit in self.ceilings
            if (value := known[metric]) is not None and value > limit
        ]
        return ", ".join(over)


class Weights(msgspec.Struct, frozen=True):
    """What each metric counts for."""

    ttft: Weight = 0.0
    latency: Weight = 0.0
    error_rate: Weight = 0.0
    cost: Weight = 0.0
    in_flight: Weight = 0.0
    tps: Weight = 0.0
    requests: Weight = 0.0


class Score(Priced, frozen=True, kw_only=True):
    """The document of a `score` router. `max_cost_per_1m`: US dollars per million tokens."""

    names: ClassVar = ("score",)
    spread: ClassVar = True

    max_ttft_ms: Amount | None = None
    max_latency_ms: Amount | None = None
    max_error_rate: Share | None = None
    max_cost_per_1m: Dollars | None = None
    max_in_flight: Amount | None = None
    weights: Weights | None = None
    when_none: Literal["best", "none"] = "best"

    def arms(self, site: Site) -> list[Arm]:
        """Return the targets; the weights are checked as well."""
        written = site.document.get("weights")
        known = Weights.__struct_fields__
        for key in written if site.strict and isinstance(written, dict) else ():
            if key not in known:
                site.fault(f".weights.{key}", f"unknown metric; known: {', '.join(known)}")
        if self.weights is not None and not any(msgspec.structs.astuple(self.weights)):
            site.fault(".weights", "the weights add up to 0; they need a sum above 0")
        return super().arms(site)

    def strategy(
        self, _site: Site, _arms: Sequence[Arm], _targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the ranking by score."""
        fields: dict[str, Measurand] = {
            "max_ttft_ms": "ttft",
            "max_latency_ms": "latency",
            "max_error_rate": "error_rate",
            "max_cost_per_1m": "cost",
            "max_in_flight": "in_flight",
        }
        ceilings = tuple(
            Ceiling(metric, field, limit)
            for field, metric in fields.items()
            if (limit := getattr(self, field)) is not None
        )
        limited = [one.metric for one in ceilings]
        weights = self._weights(limited)
        return ByScore(
            ceilings=ceilings,
            weights=weights,
            metrics=tuple(dict.fromkeys([*limited, *(metric for metric, _ in weights)])),
            windows=self.windows(),
            expected=self.expected_output_tokens,
            rank_all=self.when_none == "best",
        )

    def _weights(self, limited: Sequence[Measurand]) -> tuple[tuple[Measurand, float], ...]:
        given: Any = self.weights
        if given is None:
            given = Weights(**dict.fromkeys(limited or _BY_DEFAULT, 1.0))
        weights = [(metric, getattr(given, metric)) for metric in get_args(Measurand)]
        total = sum(weight for _, weight in weights) or 1.0
        return tuple((metric, weight / total) for metric, weight in weights if weight)


def normalised(
    values: Sequence[float | None], places: Sequence[int], metric: Measurand
) -> list[float]:
    """Return for each of ``places`` 0 for the best of their values to 1 for the worst.

    Equal ones are all 0. What is unknown gets the mean of the others, so that it neither wins by
    that nor loses.
    """
    picked = [values[place] for place in places]
    known = [value for value in picked if value is not None]
    best, worst = (min(known), max(known)) if known else (0.0, 0.0)
    if best == worst:
        return [0.0] * len(picked)
    if metric == "tps":
        best, worst = worst, best
    span = worst - best
    parts = [(value - best) / span for value in known]
    if len(parts) == len(picked):
        return parts
    mean, rest = sum(parts) / len(parts), iter(parts)
    return [mean if value is None else next(rest) for value in picked]


def _in_flight(candidates: Sequence[Candidate], context: Context) -> list[int]:
    backends = context.stats.backends
    return [
        backends.get(each.plan.attempts[0].backend.name, _UNSEEN).in_flight for each in candidates
    ]
