"""What budgets have counted, as control knows it: for metrics, and for whoever asks."""

import time
from collections.abc import Callable

import structlog
from redis.asyncio import Redis

from sidecar.admin.budgets import Usage, UsedBudget
from sidecar.memory.counts import Counts
from sidecar.memory.listening import Listening
from sidecar.model import Budget, Snapshot

_log = structlog.get_logger()


class BudgetCounters:
    """A copy of all budgets' counters. ``snapshot``: the live rules."""

    def __init__(self, redis: Redis, prefix: str, snapshot: Callable[[], Snapshot | None]) -> None:
        self._counts = Counts(time.monotonic)
        self._listening = Listening(redis, None, self._counts, prefix, self._notify)
        self._snapshot = snapshot
        self._up = True

    async def run(self) -> None:
        """Follow the counters, until cancelled."""
        await self._listening.run()

    def ratios(self) -> dict[str, float]:
        """Return by budget how much of the limit the scope's highest value has used."""
        now = time.time()
        return {
            budget.name: max(self._used(budget, now).values(), default=0.0) / budget.limit
            for budget in self._budgets()
            if budget.limit > 0
        }

    def usage(self, name: str, most: int) -> UsedBudget | None:
        """Return the ``most`` values of a budget that have used most; ``None``: no such budget."""
        now = time.time()
        budget = next((one for one in self._budgets() if one.name == name), None)
        if budget is None:
            return None
        used = sorted(self._used(budget, now).items(), key=lambda pair: (-pair[1], pair[0]))
        return UsedBudget(
            name=name,
            scope=budget.scope,
            unit=budget.unit,
            limit=budget.limit,
            per=budget.per,
            resets=budget.periods(now).end,
            shared=self._up and self._listening.learnt.is_set(),
            values=[Usage(value, amount, budget.limit) for value, amount in used[:most]],
            count=len(used),
        )

    def names(self) -> list[str]:
        """Return the names of all budgets that are switched on."""
        return sorted(budget.name for budget in self._budgets())

    def _budgets(self) -> tuple[Budget, ...]:
        snapshot = self._snapshot()
        return snapshot.budgets.every if snapshot is not None and snapshot.budgets else ()

    def _used(self, budget: Budget, now: float) -> dict[str, float]:
        head = budget.head(budget.periods(now))
        found = self._counts.listing(head)
        used = {key.removeprefix(head): amount for key, amount in found.items()}
        return used if budget.only is None else {n: u for n, u in used.items() if n == budget.only}

    def _notify(self, error: Exception | None) -> None:
        if error is not None and self._up:
            _log.warning("budgets_not_followed", why=f"{type(error).__name__}: {error}")
        self._up = error is None
