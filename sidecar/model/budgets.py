"""Budgets: how much may be used in a period, by whom, and what happens when it is used up."""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple
from urllib.parse import quote

import msgspec

from sidecar.model.periods import Per, Period
from sidecar.model.routing import Accessor, Predicate, Router

Unit = Literal["tokens", "requests", "usd"]

BUDGET_KEYS = "budget:"
"""What the keys of budgets' counters begin with; others are no business of who follows budgets."""
COUNT_KEYS = "count:"
"""What the keys of all counters begin with in Redis."""
COUNTS_CHANNEL = "counts"
"""Where totals are published: a JSON array of ``[key, total, milliseconds until forgotten]``."""

KEPT_SECONDS = 3600.0
"""How long a counter stays behind its period: for late outcomes, and clocks that go behind."""


class Budget(msgspec.Struct, frozen=True):
    """A limit of ``unit`` in each of ``periods``, for each value of ``scope``.

    ``value`` reads the scope's value; it is ``None`` for `global`, and for routes and backends,
    whose value is their name. ``only``: the one route or backend that is meant, or all.
    ``plain``: values are shown as they are; others are people's, and are shown as digests.
    ``router`` decides at the end when ``then`` is `router`.
    """

    name: str
    limit: float
    unit: Unit
    per: Per
    scope: str
    kind: Literal["global", "subject", "route", "backend"]
    periods: Callable[[float], Period]
    prefix: str
    """What its keys begin with: see `key_prefix`."""
    value: Accessor | None = None
    matches: Predicate | None = None
    only: str | None = None
    plain: bool = False
    then: Literal["reject", "warn", "router"] = "reject"
    router: Router | None = None
    on_store_down: Literal["allow", "reject"] = "allow"

    def head(self, period: Period) -> str:
        """Return what its keys in ``period`` begin with; the value is all that follows."""
        return f"{self.prefix}{period.start}:"


class Entry(NamedTuple):
    """A budget in one of its periods. ``place``: of its scope among those of all entries."""

    budget: Budget
    matches: Predicate | None
    place: int
    head: str
    limit: float
    period: Period


class Entries:
    """Budgets with the periods that they are in, kept until one of those ends.

    ``scopes``: one budget for each scope that there is.
    """

    __slots__ = ("_known", "budgets", "scopes", "strict")

    def __init__(self, budgets: Iterable[Budget] = ()) -> None:
        self.budgets = tuple(budgets)
        self.scopes = tuple({budget.scope: budget for budget in self.budgets}.values())
        self.strict = any(one.on_store_down == "reject" for one in self.budgets)
        self._known: tuple[float, float, tuple[Entry, ...]] = (0.0, 0.0, ())

    def at(self, now: float) -> tuple[Entry, ...]:
        """Return the budgets as they are at ``now`` (Unix seconds)."""
        start, end, entries = self._known
        if start <= now < end:
            return entries
        places = {budget.scope: place for place, budget in enumerate(self.scopes)}
        entries = tuple([_entry(one, now, places[one.scope]) for one in self.budgets])
        start = max((one.period.start for one in entries), default=0.0)
        end = min((one.period.end for one in entries), default=0.0)
        self._known = (start, end, entries)
        return entries


def _entry(budget: Budget, now: float, place: int) -> Entry:
    period = budget.periods(now)
    return Entry(budget, budget.matches, place, budget.head(period), budget.limit, period)


class Budgets(NamedTuple):
    """All budgets that are switched on, each by name: of routes, of backends, and the others."""

    general: Entries
    routes: tuple[Budget, ...] = ()
    backends: tuple[Budget, ...] = ()

    @property
    def every(self) -> tuple[Budget, ...]:
        """All of them."""
        return self.general.budgets + self.routes + self.backends


def key_prefix(name: str, unit: Unit, per: Per, scope: str) -> str:
    """Return what a budget's keys begin with; colons in names do not end them.

    It says what is counted: after an edit of the unit, the period or the scope it starts at 0.
    """
    return f"{BUDGET_KEYS}{quote(name, safe='')}:{unit}:{per}:{quote(scope, safe='.')}:"


class Charge(NamedTuple):
    """A counter that the tokens or dollars of an answer go to, until ``end`` (Unix seconds).

    A ``key`` that ends with `:` is continued with the name of the backend that answered;
    ``only``: that backend's alone.
    """

    key: str
    unit: Unit
    end: int
    only: str = ""
