"""The check `guardrail`: what a guard, a service of the operator's, says about the request."""

from typing import Annotated, Any

import msgspec

from sidecar.choose.conditional.checks import CheckFailed, Result
from sidecar.choose.definition import Site
from sidecar.choose.fields import part
from sidecar.errors import ConfigError
from sidecar.model import Candidate, Context, Effect, Hook

_FAILURES = frozenset({"timeout", "unreachable", "invalid"})
"""Why a guard gave no answer of its own; each is counted as `guard_<failure>`."""


class Guardrail(msgspec.Struct, frozen=True):
    """A question to a guard; the fields of its answer are whatever it sends."""

    name: str
    hook: Hook
    fields: tuple[str, ...] = ()

    def run(self, context: Context) -> Result:
        """Return the guard's answer, or what stands for it when it may be silent.

        Silence of a guard that may not be silent is a failure: ``{"passed": {"ne": true}}`` is
        for those whom it refused.
        """
        answer = context.memory.verdict(self.hook)
        failure, guard = answer.get("error"), self.hook.guard.name
        silent = isinstance(failure, str) and failure in _FAILURES
        if silent:
            context.warn(f"guard_{failure}")
        if not isinstance(answer.get("passed"), bool):
            raise CheckFailed(f"guard {guard} gave no verdict")
        if silent and not answer["passed"]:
            raise CheckFailed(f"guard {guard}: {failure}")
        return answer

    def effects(self, _result: Result, _first: Candidate, _context: Context) -> tuple[Effect, ...]:
        """Return nothing: an answer changes nothing."""
        return ()


class Document(msgspec.Struct, frozen=True):
    """``parameters`` go to the guard as they are."""

    name: str
    guard_id: Annotated[str, msgspec.Meta(max_length=128)]
    parameters: dict[str, Any] | None = None


def guardrail(document: Any, site: Site, where: str) -> Guardrail | None:
    """Compile the check; what is wrong with it goes to ``site``."""
    found = part(document, Document, site, where)
    if found is None:
        return None
    try:
        guard = site.compilers.guard(found.guard_id, f"{site.path}{where}.guard_id")
    except ConfigError as error:
        site.findings.faults.extend(error.faults)
        return None
    parameters = msgspec.json.encode(found.parameters or {}, order="sorted").decode()
    return Guardrail(found.name, Hook(guard, parameters))
