"""One decision made with a trail, and the trail made into an explanation."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from sidecar import facts
from sidecar.decide import BUDGET, DEFAULT, INLINE, NAMED, STORED, decide_in, decision_id
from sidecar.errors import BudgetExceeded, InvalidRouter, RequestError, RouterForbidden
from sidecar.explain.explanation import (
    AskedRequest,
    Change,
    ExplainedPlan,
    Explanation,
    PlannedAttempt,
    Recollection,
    Refusal,
    Step,
)
from sidecar.explain.record import Record
from sidecar.explain.routes import explain_routes
from sidecar.model import (
    FORGETFUL,
    Attempt,
    Context,
    Decision,
    Entropy,
    Hook,
    InferenceRequest,
    Memory,
    Recall,
    Snapshot,
    Splice,
    Stats,
    Trail,
    shown,
)

_STEPS: Mapping[str, Step] = {
    INLINE: "(inline)",
    STORED: "(router)",
    NAMED: "(model)",
    DEFAULT: "(default)",
    BUDGET: "(budget)",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TracedEntropy(Entropy):
    """The same numbers, each noted in a trail."""

    __slots__ = ("_trail",)

    def __init__(self, seed: int, trail: Trail) -> None:
        super().__init__(seed)
        self._trail = trail

    def uniform(self) -> float:
        """Return the next number in [0, 1)."""
        drawn = super().uniform()
        self._trail.draw(drawn)
        return drawn


def explain(
    snapshot: Snapshot,
    stats: Stats,
    request: InferenceRequest,
    seed: int,
    now: float,
    memory: Memory = FORGETFUL,
) -> Explanation:
    """Decide as `decide` does, and say why; a refusal is explained as well. Nothing is changed.

    Raises Pending when a guard has to be asked first.
    """
    trail, warnings = Trail(), list[str]()
    recall = Recall(memory)
    entropy = TracedEntropy(seed, trail)
    context = Context(request, stats, entropy, now, recall, trail, warnings, [])
    found = _blank(snapshot, seed, now)
    found.request = AskedRequest(
        request.path,
        request.operation,
        None if request.model is None else shown(request.model),
        request.stream,
        len(request.body),
    )
    try:
        _describe(found, decide_in(snapshot, context))
    except RequestError as error:
        found.refusal = _refusal(error)
    if not _named_its_router(found, trail):
        found.routes, found.skipped = explain_routes(snapshot, context, trail)
    found.passed_over, found.routers = trail.passed_over, trail.routers
    found.notes, found.warnings = trail.notes, warnings
    found.memory = [_recollection(*item) for item in recall.reads.items()]
    return found


def explain_record(record: Record) -> Explanation:
    """Explain a decision that was kept; a body that no facts could be read from is refused.

    Raises ValueError for a record without its body.
    """
    if record.body is None:
        raise ValueError("the body was not kept")
    snapshot = record.snapshot
    try:
        request = facts.read(record.path, record.headers, record.body, keys=snapshot.keys)
    except RequestError as error:
        return refused(snapshot, record.seed, record.now, error)
    recall = Recall(FORGETFUL, dict(record.reads))
    return explain(snapshot, record.stats, request, record.seed, record.now, recall)


def refused(snapshot: Snapshot, seed: int, now: float, error: RequestError) -> Explanation:
    """Return the explanation of a request that was refused before any rule was asked."""
    found = _blank(snapshot, seed, now)
    found.refusal = _refusal(error)
    return found


def summary(found: Explanation) -> dict[str, Any]:
    """Return what of an explanation fits into a header whatever its length."""
    plan = found.plan
    return {
        "id": found.id,
        "config_version": found.config_version,
        "step": found.step,
        "route": found.route,
        "strategy": plan.strategy if plan else None,
        "probability": plan.probability if plan else None,
        "attempts": [attempt.backend for attempt in plan.attempts] if plan else [],
        "warnings": found.warnings,
        "refusal": found.refusal.code if found.refusal else None,
        "cut": True,
    }


def encode(found: Explanation) -> bytes:
    """Return an explanation as JSON."""
    return msgspec.json.encode(found, enc_hook=str)


def _blank(snapshot: Snapshot, seed: int, now: float) -> Explanation:
    at = (_EPOCH + timedelta(seconds=now)).isoformat(timespec="milliseconds")
    return Explanation(
        id=decision_id(seed, now),
        config_version=snapshot.version,
        at=at.replace("+00:00", "Z"),
    )


def _describe(found: Explanation, decision: Decision) -> None:
    plan = decision.plan
    found.step = _STEPS.get(decision.route, "route")
    found.route = decision.route
    found.plan = ExplainedPlan(
        plan.strategy,
        plan.probability,
        [_attempt(*pair) for pair in zip(plan.attempts, decision.splices, strict=True)],
        [{"type": type(effect).__name__, **effect._asdict()} for effect in plan.effects],
    )


def _named_its_router(found: Explanation, trail: Trail) -> bool:
    """Tell whether the request itself or a budget said which router, so no route was asked."""
    refusal = found.refusal and found.refusal.code
    first = [*trail.passed_over, found.route][0]
    if refusal == BudgetExceeded.code and first is None:
        return not trail.routes
    by_name = first in {INLINE, STORED, BUDGET}
    return by_name or refusal in {InvalidRouter.code, RouterForbidden.code}


def _attempt(attempt: Attempt, splices: Sequence[Splice]) -> PlannedAttempt:
    backend = attempt.backend
    return PlannedAttempt(
        backend.name,
        backend.provider,
        backend.model,
        shown(attempt.parameters),
        [Change(offset, length, shown(text)) for offset, length, text in splices],
    )


def _recollection(place: tuple[str, Any], value: Any) -> Recollection:
    kind, key = place
    if isinstance(key, Hook):
        key = {"guard": key.guard.name, "parameters": key.parameters}
    return Recollection(kind, shown(key), shown(value))


def _refusal(error: RequestError) -> Refusal:
    return Refusal(error.code, error.status, error.message, error.param)
