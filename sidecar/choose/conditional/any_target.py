"""`$any`: the best of several models by price or by a metric, without those that a filter removes.

It stands where a route of a conditional router names its targets; it is no type of router.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, cast, get_args

import msgspec

from sidecar.choose.definition import Arm, Definition, Inner, Site
from sidecar.choose.fields import kind, part
from sidecar.choose.measured import METRICS, WINDOWS, read_metric, rows_of
from sidecar.choose.optimized import ByMetric
from sidecar.choose.pricing import rate_at
from sidecar.model import Candidate, Context, Leaf, Ranking, Router, Strategy

MAX_NAMES = 1000

Sort = Literal["price", "requests", "latency", "ttft", "tps", "error_rate"]
_SIGNS = {"min": 1, "max": -1}

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


class Bound(NamedTuple):
    """What a filter asks of one metric: every test must hold."""

    metric: Sort
    tests: tuple[tuple[str, float], ...]

    def holds(self, value: float | None) -> bool:
        """Tell whether a value passes; unknown ones fail, but for the error rate, as in LangDB."""
        if value is None:
            return self.metric == "error_rate"
        return all(_OPERATORS[name](value, operand) for name, operand in self.tests)

    def __str__(self) -> str:
        return ", ".join(f"{name} {operand:g}" for name, operand in self.tests)


class ByPrice(msgspec.Struct, frozen=True):
    """Ranks by US dollars per token: the larger one of input and output."""

    sign: int

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return the best first; equal prices keep the order of the names."""
        prices = _prices(candidates, context)
        if context.trail is not None:
            context.trail.note("metric", "price")
            for candidate, price in zip(candidates, prices, strict=True):
                context.trail.score(candidate, price)
        places = sorted(range(len(prices)), key=lambda place: self.sign * prices[place])
        return Ranking([candidates[place] for place in places])


class AnyOf(msgspec.Struct, frozen=True):
    """Removes what the filter does not want, and leaves the order to ``sort``."""

    bounds: tuple[Bound, ...]
    sort: Strategy | None

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return those that pass, best first; none when the filter removes all."""
        for bound in self.bounds:
            candidates = _passing(bound, candidates, context)
            if not candidates:
                return Ranking(())
        return Ranking(candidates) if self.sort is None else self.sort.rank(candidates, context)


def _passing(bound: Bound, candidates: Sequence[Candidate], context: Context) -> list[Candidate]:
    values = _values(bound.metric, candidates, context)
    passing = []
    for candidate, value in zip(candidates, values, strict=True):
        if bound.holds(value):
            passing.append(candidate)
        elif context.trail is not None:
            shown = "unknown" if value is None else f"{value:g}"
            context.trail.exclude(candidate, f"{bound.metric} {shown} is not {bound}")
    return passing


def _values(
    metric: Sort, candidates: Sequence[Candidate], context: Context
) -> Sequence[float | None]:
    if metric == "price":
        return _prices(candidates, context)
    return read_metric(METRICS[metric], rows_of(candidates, context.stats), WINDOWS).values


def _prices(candidates: Sequence[Candidate], context: Context) -> list[float]:
    request, now = context.request, context.now
    return [max(rate_at(candidate.backend, request, now)) for candidate in candidates]


class AnyTarget(Definition, frozen=True, kw_only=True):
    """What a `$any` document says; each backend that it names is a target."""

    names: ClassVar = ("any",)

    sort: Strategy | None
    bounds: tuple[Bound, ...]

    def arms(self, site: Site) -> list[Arm]:
        """Return a target for each backend, in the order of their first mention."""
        arms: dict[str, Arm] = {}
        for name in dict.fromkeys(self.targets):
            where, leaf = f".$any[{self.targets.index(name)}]", site.catalog.leaf(name, {})
            if leaf is None:
                arms[name] = Arm(where, name)  # a stored router, or unknown
                continue
            for backend in sorted(leaf.backends, key=lambda one: (one.priority, one.name)):
                arms.setdefault(backend.name, Arm(where, backend.name))
        return list(arms.values())

    def strategy(
        self, _site: Site, _arms: Sequence[Arm], _targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the filter and the order."""
        return AnyOf(self.bounds, self.sort)


class Document(msgspec.Struct, frozen=True, rename={"any": "$any"}):
    """``explore``: see `optimized`."""

    any: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MAX_NAMES)]
    sort_by: Sort | None = None
    sort_order: Literal["min", "max"] | None = None
    filter: dict[str, Any] | None = None
    explore: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.02


def any_target(document: Any, name: str, site: Site, where: str) -> Inner | None:
    """Return the router of a `$any`; what is wrong with it goes to ``site``."""
    found = part(document, Document, site, where)
    bounds = _bounds(found.filter or {}, site, f"{where}.filter") if found else None
    if found is None or bounds is None:
        return None
    definition = AnyTarget(type="any", targets=found.any, sort=_sort(found), bounds=bounds)
    return Inner(name, {"targets": found.any}, definition)


def _sort(document: Document) -> Strategy | None:
    if document.sort_by is None:
        return None
    if document.sort_by == "price":
        return ByPrice(_SIGNS[document.sort_order or "min"])
    sign = _SIGNS.get(document.sort_order or "")
    return ByMetric(document.sort_by, WINDOWS, document.explore, sign)


def _bounds(filters: Mapping[str, Any], site: Site, where: str) -> tuple[Bound, ...] | None:
    """Compile a filter; ``None`` when there are faults in it."""
    before = len(site.findings.faults)
    bounds = []
    for metric, asked in filters.items():
        place = f"{where}.{metric}"
        if metric not in get_args(Sort):
            site.fault(place, f"unknown metric; known: {', '.join(get_args(Sort))}")
        elif not isinstance(asked, dict) or not asked:
            site.fault(place, f"needs operators such as lt, got {kind(asked)}")
        else:
            tests = [_test(name, operand, site, place) for name, operand in asked.items()]
            bounds.append(Bound(cast("Sort", metric), tuple(test for test in tests if test)))
    return tuple(bounds) if len(site.findings.faults) == before else None


def _test(name: str, operand: Any, site: Site, where: str) -> tuple[str, float] | None:
    plain = name.removeprefix("$")
    if plain not in _OPERATORS:
        site.fault(f"{where}.{name}", f"unknown operator; known: {', '.join(_OPERATORS)}")
    elif isinstance(operand, bool) or not isinstance(operand, int | float):
        site.fault(f"{where}.{name}", f"needs a number, got {kind(operand)}")
    else:
        return plain, operand
    return None
