"""A budget as one request found it, and how that is told."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sidecar.model import Budget, Period


class Found(NamedTuple):
    """A budget with the counter of one value. ``lost``: others' counts are not heard of."""

    budget: Budget
    value: str
    key: str
    period: Period
    used: float
    lost: bool

    @property
    def over(self) -> bool:
        """Whether nobody may go on without what ``then`` says."""
        return self.lost or self.used >= self.budget.limit


def limit_of(budget: Budget) -> str:
    """Return the limit for people: `5 usd per day`."""
    return f"{budget.limit:.15g} {budget.unit} per {budget.per}"


def until(period: Period) -> str:
    """Return when it begins anew, for people."""
    return f"it begins anew at {_at(period.end)}"


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def sentence(found: Found) -> str:
    """Return why it stops a request, for people."""
    if found.lost:
        return f"budget {found.budget.name}: counters are not shared now"
    used = f"{found.used:.15g} of {limit_of(found.budget)} used"
    return f"budget {found.budget.name}: {used}; {until(found.period)}"


def described(found: Found) -> dict[str, Any]:
    """Return it as an explanation has it; ``then``: what it does to the request, if anything."""
    return {
        "budget": found.budget.name,
        "scope": found.budget.scope,
        "value": found.value,
        "used": found.used,
        "limit": found.budget.limit,
        "unit": found.budget.unit,
        "until": _at(found.period.end),
        "then": ("store_down" if found.lost else found.budget.then) if found.over else None,
    }
