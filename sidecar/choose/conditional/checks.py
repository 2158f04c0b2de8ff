"""What a router finds out before it decides (`pre_request`), and how conditions read it.

A check runs when a condition first reads it, and once in a decision: a guard that no condition
reads is not asked.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, cast

from sidecar.choose.fields import quoted
from sidecar.errors import ConfigError, Fault
from sidecar.model import MISSING, Accessor, Candidate, Context, Effect

FAMILY = "pre_request."
_REQUESTED = "extra.guards."

Result = Mapping[str, Any]


class CheckFailed(Exception):
    """A check has no result: no condition that reads it may hold, a negated one neither."""


class Check(Protocol):
    """Something that conditions can ask about as `pre_request.<name>.<field>`."""

    @property
    def name(self) -> str:
        """The name, without dots."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of each result; empty when they cannot be known."""

    def run(self, context: Context) -> Result:
        """Return the result; raises CheckFailed, and Pending when a guard has to be asked."""

    def effects(self, result: Result, first: Candidate, context: Context) -> tuple[Effect, ...]:
        """Return what to remember when the request goes to ``first``."""


class Ran(NamedTuple):
    """A check, and its result or why it has none."""

    check: Check
    result: Result | None
    failure: str = ""


class Visit(Context):
    """The context of one decision, as one router sees it: with the checks that ran."""

    ran: dict[str, Ran]

    @classmethod
    def of(cls, context: Context) -> "Visit":
        """Return a visit in which no check has run."""
        visit = cls(*context)
        visit.ran = {}
        return visit


class Subjects:
    """The subjects that conditions of a router with these checks can ask about.

    A check that is ``None`` has faults of its own: what is asked of it is not looked at.
    """

    def __init__(self, checks: Mapping[str, Check | None]) -> None:
        self._checks = checks

    def __call__(self, subject: str, path: str) -> Accessor | None:
        """Return the accessor of ``subject`` for contexts that are a Visit.

        ``None`` for a subject of elsewhere; raises ConfigError when there is no such check.
        """
        if subject.startswith(_REQUESTED):
            return _requested(subject.removeprefix(_REQUESTED))
        if not subject.startswith(FAMILY):
            return None
        name, *steps = subject.removeprefix(FAMILY).split(".")
        if name not in self._checks:
            known = ", ".join(self._checks) or "there is none"
            raise ConfigError([Fault(path, f"unknown pre_request {quoted(name)}; known: {known}")])
        check = self._checks[name]
        if check is None:
            return _missing
        if not all(steps) or not steps or (check.fields and ".".join(steps) not in check.fields):
            legal = ", ".join(check.fields or ("passed", "confidence", "…"))
            raise ConfigError([Fault(path, f"unknown field of {name}; known: {legal}")])
        return _field(check, steps)


def _missing(_context: Context) -> Any:
    return MISSING


def _field(check: Check, steps: list[str]) -> Accessor:
    def accessor(context: Context) -> Any:
        value: Any = _result(check, cast("Visit", context))
        for step in steps:
            value = value.get(step, MISSING) if isinstance(value, Mapping) else MISSING
        return value

    return accessor


def _result(check: Check, visit: Visit) -> Result:
    ran = visit.ran.get(check.name)
    if ran is None:
        ran = visit.ran[check.name] = _run(check, visit)
    if ran.result is None:
        raise CheckFailed(ran.failure)
    return ran.result


def _run(check: Check, context: Context) -> Ran:
    try:
        return Ran(check, check.run(context))
    except CheckFailed as failed:
        return Ran(check, None, str(failed))


def _requested(guard: str) -> Accessor:
    """Read whether the request lists a guard in LangDB's `extra.guards`, by id or as an object."""

    def accessor(context: Context) -> Any:
        listed = context.request.value(("extra", "guards"))
        for one in listed if isinstance(listed, list) else ():
            if (one.get("id") if isinstance(one, dict) else one) == guard:
                return True
        return MISSING

    return accessor
