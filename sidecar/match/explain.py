"""Why a condition holds or not: its clauses, each asked on its own, with what it read."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from sidecar.errors import ConfigError, RequestError
from sidecar.match import operators, subjects
from sidecar.match.condition import compile_condition
from sidecar.model import MISSING, SECRET_HEADERS, Context, Predicate, shown

HIDDEN = "(hidden)"
_SECRETS = frozenset(f"headers.{name}" for name in SECRET_HEADERS)


class Clause(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One node of a condition, and whether it held; of its kinds one is there.

    A clause has ``subject``, ``op``, ``operand`` and ``value`` (not there: the request has none),
    the others their parts. ``error``: the code of what went wrong while it was asked; a decision
    that got as far as this clause is a refusal with that code.
    """

    holds: bool
    subject: str | msgspec.UnsetType = UNSET
    op: str | msgspec.UnsetType = UNSET
    operand: Any = UNSET
    value: Any = UNSET
    all: "list[Clause] | msgspec.UnsetType" = UNSET
    any: "list[Clause] | msgspec.UnsetType" = UNSET
    negated: "Clause | msgspec.UnsetType" = msgspec.field(default=UNSET, name="not")
    expr: str | msgspec.UnsetType = UNSET
    error: str | msgspec.UnsetType = UNSET


def explain_condition(
    document: Mapping[str, Any],
    context: Context,
    flags: Mapping[str, Predicate] = subjects.NO_FLAGS,
) -> Clause:
    """Return the tree of a CONDITION that compiles, asked of one request.

    Every clause is asked, also those that the decision did not get to. The root holds exactly when
    the compiled condition does. ``flags``: what `flags.<name>` reads.
    """
    return _Questions(context, flags).condition(document)


class _Questions:
    def __init__(self, context: Context, flags: Mapping[str, Predicate]) -> None:
        self._context = context
        self._flags = flags

    def condition(self, document: Mapping[str, Any]) -> Clause:
        return _all([self._member(key, value) for key, value in document.items()])

    def _member(self, key: str, value: Any) -> Clause:
        match key:
            case "all":
                return _all([self.condition(each) for each in value])
            case "any":
                parts = [self.condition(each) for each in value]
                return Clause(holds=any(part.holds for part in parts), any=parts)
            case "not":
                part = self.condition(value)
                return Clause(holds=not part.holds, negated=part)
            case "expr":
                return self._expression(value)
        return self._clauses(key, value)

    def _expression(self, text: str) -> Clause:
        try:
            compiled = compile_condition({"expr": text}, "", flags=self._flags)
            return Clause(holds=compiled.matches(self._context), expr=text)
        except (ConfigError, RequestError) as error:
            return Clause(holds=False, expr=text, error=error.code)

    def _clauses(self, subject: str, asked: Any) -> Clause:
        """Return a clause for each operator; the subject is read once, as the decision does it."""
        asks = asked if isinstance(asked, Mapping) else {"eq": asked}
        try:
            value = subjects.compile_accessor(subject, "", flags=self._flags)(self._context)
        except RequestError as error:
            failed = error.code
            return _all([_failed(subject, op, asks[op], failed) for op in asks])
        return _all([_clause(subject, op, operand, value) for op, operand in asks.items()])


def _clause(subject: str, op: str, operand: Any, value: Any) -> Clause:
    secret = subject.lower() in _SECRETS
    found = UNSET if value is MISSING else HIDDEN if secret else shown(value)
    return Clause(
        holds=operators.compile_test(op, operand, "")(value),
        subject=subject,
        op=op.removeprefix("$"),
        operand=HIDDEN if secret else _written(operand),
        value=found,
    )


def _failed(subject: str, op: str, operand: Any, code: str) -> Clause:
    return Clause(
        holds=False, subject=subject, op=op.removeprefix("$"), operand=_written(operand), error=code
    )


def _written(operand: Any) -> Any:
    """Return an operand, which is the operator's own text; only long lists are cut."""
    return operand if isinstance(operand, str) else shown(operand)


def _all(parts: Sequence[Clause]) -> Clause:
    if len(parts) == 1:
        return parts[0]
    return Clause(holds=all(part.holds for part in parts), all=list(parts))
