"""Budgets, as one request meets them: what it may not do any more, and what it is counted under.

A request is over a budget when what was counted before it has reached the limit. What is read are
counters in memory; what is to be counted comes back as effects and charges.
"""

import math
import operator
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from typing import Any

from sidecar.choose.found_budget import Found, described, limit_of, sentence, until
from sidecar.choose.rendezvous import key_text
from sidecar.errors import BudgetExceeded, BudgetUnknown
from sidecar.model import (
    KEPT_SECONDS,
    Budget,
    Budgets,
    Charge,
    Context,
    Count,
    Effect,
    Entry,
    Plan,
    Router,
)

EXCEEDED = BudgetExceeded.code
NO_VALUE = "(none)"
"""Under which requests without a value of the scope are counted together: to leave a header out
must not be a way past a budget."""
ALL = "all"
"""The value of the scope `global`."""
LONGEST_VALUE = 64
_RETRY_SECONDS = 1.0
"""When to come back while counters are not shared."""


def shown_value(value: Any, *, plain: bool) -> str:
    """Return a scope's value as keys have it: names of people have no place in Redis."""
    text = key_text(value)
    if text is None:
        return NO_VALUE
    if plain and len(text) <= LONGEST_VALUE and text.isprintable():
        return text
    return "~" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


class Spending:
    """The budgets of one decision.

    Those that are not about routes or backends are asked all at once: that is the usual case.
    """

    __slots__ = (
        "_asked",
        "_budgets",
        "_context",
        "_ended",
        "_found",
        "_keys",
        "_matched",
        "charges",
    )

    def __init__(self, budgets: Budgets, context: Context) -> None:
        self.charges: tuple[Charge, ...] = ()
        """What the answer's tokens and dollars are charged to; known after `settle`."""
        self._budgets = budgets
        self._context = context
        self._asked: list[Entry] = []
        self._keys: list[str] = []
        self._found: dict[tuple[str, str], Found] = {}
        self._matched: dict[str, bool] = {}
        self._ended: list[Found] = []

    @property
    def leaves_out(self) -> bool:
        """Whether there are budgets of backends."""
        return bool(self._budgets.backends)

    def admit(self) -> Router | None:
        """Return the router that decides instead of all rules, if a budget that is over has one.

        Raises BudgetExceeded when one that is over rejects. Notes a warning for one that warns.
        """
        context, asked = self._context, self._asked
        self._collect()
        if not asked:
            return None
        used = context.memory.usages(tuple(self._keys))
        lost = self._budgets.general.strict and not context.memory.shared("")
        over = map(operator.ge, used, [entry[4] for entry in asked])
        if not lost and context.trail is None and True not in over:
            return None
        for one, key, amount in zip(asked, self._keys, used, strict=True):
            value, strict = key[len(one.head) :], one.budget.on_store_down == "reject"
            found = Found(one.budget, value, key, one.period, amount, lost and strict)
            self._found[one.budget.name, value] = found
        return self._instead([found for found in self._found.values() if found.over])

    def _collect(self) -> None:
        """Note which budgets the request is asked against, and their counters."""
        context, general = self._context, self._budgets.general
        scopes, values = general.scopes, [""] * len(general.scopes)
        asked, keys = self._asked, self._keys
        for entry in general.at(context.now):
            _, matches, place, head, _, _ = entry
            if matches is not None and not matches(context):
                continue
            value = values[place]
            if not value:
                scope = scopes[place]
                read = scope.value
                value = values[place] = (
                    ALL if read is None else shown_value(read(context), plain=scope.plain)
                )
            asked.append(entry)
            keys.append(head + value)

    def _instead(self, over: list[Found]) -> Router | None:
        """Return the router of the first budget that has one, unless another one rejects."""
        self._refuse([found for found in over if found.lost or found.budget.then == "reject"])
        if any(found.budget.then == "warn" for found in over):
            self._context.warn(EXCEEDED)
        switched = [found for found in over if found.budget.then == "router"]
        self._ended += switched
        return switched[0].budget.router if switched else None

    def through(self, route: str, router: Router) -> Router | None:
        """Return the router that decides for ``route``; ``None``: the route is to be passed over.

        Raises BudgetUnknown. What stands for a route's name (`(default)`) has no budget.
        """
        if not self._budgets.routes or route.startswith("("):
            return router
        for budget in self._budgets.routes:
            found = self._find(budget, route)
            if found is None or not found.over:
                continue
            if found.lost:
                self._refuse([found])
            if budget.then == "warn":
                self._context.warn(EXCEEDED)
            elif budget.router is None:
                self._ended.append(found)
                return None
            else:
                router = budget.router
        return router

    def spent(self, names: AbstractSet[str]) -> Mapping[str, str]:
        """Return which of the backends are to be left out, and why."""
        out: dict[str, str] = {}
        for budget in self._budgets.backends:
            if budget.then != "reject":
                continue
            for name in names if budget.only is None else names & {budget.only}:
                found = self._find(budget, name)
                if found is not None and found.over and name not in out:
                    self._ended.append(found)
                    out[name] = sentence(found)
        return out

    def reject(self) -> None:
        """Raise BudgetExceeded if it is for a budget that nothing is left to try."""
        self._refuse(sorted(self._ended, key=lambda one: -one.period.end)[-1:])

    def settle(self, route: str, plan: Plan) -> Plan:
        """Return the plan with what is to be counted; ``route`` is the one that decided."""
        now = self._context.now
        effects: list[Effect] = []
        charges: list[Charge] = []
        for (budget, _, _, _, _, period), key in zip(self._asked, self._keys, strict=True):
            if budget.unit == "requests":
                effects.append(Count(key, 1.0, period.end - now + KEPT_SECONDS))
            else:
                charges.append(Charge(key, budget.unit, period.end))
        if self._budgets.routes and not route.startswith("("):
            for found in self._named(self._budgets.routes, route):
                _add(found, now, effects, charges)
        if self._budgets.backends:
            self._settle_backends(plan.attempts[0].backend.name, effects, charges)
        self.charges = tuple(charges)
        if self._found:
            self.note()
        if not effects:
            return plan
        # Not by _replace: this is done for nearly every request.
        return Plan(plan.attempts, plan.probability, plan.strategy, (*plan.effects, *effects))

    def _settle_backends(self, first: str, effects: list[Effect], charges: list[Charge]) -> None:
        """Count the request for the first backend; its tokens are for the one that answers."""
        for found in self._named(self._budgets.backends, first):
            if found.over and found.budget.then == "warn":
                self._context.warn(EXCEEDED)
            if found.budget.unit == "requests":
                _add(found, self._context.now, effects, charges)
        charges += [
            self._open_charge(budget)
            for budget in self._budgets.backends
            if budget.unit != "requests" and self._matches(budget)
        ]

    def note(self) -> None:
        """Note in the trail what was asked, if there is one."""
        trail = self._context.trail
        if trail is not None and self._found:
            trail.note("budgets", [described(found) for found in self._found.values()])

    def _named(self, budgets: Iterable[Budget], name: str) -> list[Found]:
        found = [self._find(budget, name) for budget in budgets]
        return [one for one in found if one is not None]

    def _find(self, budget: Budget, value: str) -> Found | None:
        """Return the counter of ``value``; ``None`` when the budget is not about this request."""
        place = (budget.name, value)
        known = self._found.get(place)
        if known is not None:
            return known
        if budget.only not in {None, value} or not self._matches(budget):
            return None
        context = self._context
        period = budget.periods(context.now)
        key = budget.head(period) + value
        (used,) = context.memory.usages((key,))
        lost = budget.on_store_down == "reject" and not context.memory.shared("")
        found = self._found[place] = Found(budget, value, key, period, used, lost)
        return found

    def _matches(self, budget: Budget) -> bool:
        if budget.matches is None:
            return True
        known = self._matched.get(budget.name)
        if known is None:
            known = self._matched[budget.name] = budget.matches(self._context)
        return known

    def _open_charge(self, budget: Budget) -> Charge:
        """Return a charge that is for whichever backend answers in the end."""
        period = budget.periods(self._context.now)
        return Charge(budget.head(period), budget.unit, period.end, budget.only or "")

    def _refuse(self, over: list[Found]) -> None:
        """Raise for the one of them that is over for the longest time."""
        if not over:
            return
        self.note()
        found = max(over, key=lambda one: (one.lost, one.period.end))
        budget, now = found.budget, self._context.now
        if found.lost:
            message = f'what is left of budget "{budget.name}" is not known now; try again soon'
            raise BudgetUnknown(message, budget.name, math.ceil(_RETRY_SECONDS))
        message = f'budget "{budget.name}" is used up: {limit_of(budget)}; {until(found.period)}'
        raise BudgetExceeded(message, budget.name, max(1, math.ceil(found.period.end - now)))


def _add(found: Found, now: float, effects: list[Effect], charges: list[Charge]) -> None:
    """Add what is to be counted there."""
    if found.budget.unit == "requests":
        effects.append(Count(found.key, 1.0, found.period.end - now + KEPT_SECONDS))
    else:
        charges.append(Charge(found.key, found.budget.unit, found.period.end))
