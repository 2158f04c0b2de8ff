"""One decision: match → choose → rewrite, deterministic in its arguments."""

from typing import NamedTuple

from sidecar import choose, match, rewrite
from sidecar.errors import ConfigError, InvalidRouter, ModelNotFound, NoCandidate, RouterForbidden
from sidecar.model import (
    Compilers,
    Context,
    Decision,
    Entropy,
    InferenceRequest,
    Plan,
    Predicate,
    Router,
    Snapshot,
    Stats,
)

INLINE, STORED, NAMED, DEFAULT = "(inline)", "(router)", "(model)", "(default)"
"""What stands for a route's name when no route decided; the brackets keep routes' names apart."""


class _Choice(NamedTuple):
    route: str
    router: Router | None
    warnings: tuple[str, ...] = ()


def decide(
    snapshot: Snapshot, stats: Stats, request: InferenceRequest, entropy: Entropy, now: float
) -> Decision:
    """Decide where ``request`` goes. ``now``: Unix time in seconds.

    Raises RequestError (InvalidRouter, RouterForbidden, ModelNotFound, NoCandidate).
    """
    context = Context(request, stats, entropy, now)
    choice = _choose_router(snapshot, context)
    plan, warnings = _plan(snapshot, choice, context)
    return Decision(
        id=f"{int(now * 1000):012x}{entropy.seed:016x}",
        route=choice.route,
        plan=plan,
        splices=tuple([rewrite.patch(request, attempt) for attempt in plan.attempts]),
        config_version=snapshot.version,
        model=request.model,
        warnings=warnings,
        hide_usage=rewrite.hides_usage(request),
    )


def _choose_router(snapshot: Snapshot, context: Context) -> _Choice:
    """Precedence: router in the request, `router/<name>`, routes, a backend's name, default."""
    request = context.request
    if "router" in request.spans:
        inline = request.value(("router",))
        if inline is not None:
            return _inline(snapshot, inline)
    model = request.model or ""
    if model.startswith("router/") and (stored := snapshot.routers.get(model[7:])):
        return _Choice(STORED, stored)
    route = snapshot.routes.first(context)
    if route is not None:
        return _Choice(route.name, route.router)
    if model and (leaf := snapshot.catalog.leaf(model, {})):
        return _Choice(NAMED, choose.only(leaf))
    if snapshot.policy.unknown_model == "reject":
        raise ModelNotFound(_unknown(model, snapshot), "model")
    return _Choice(DEFAULT, snapshot.default, ("unknown_model",))


def _inline(snapshot: Snapshot, document: object) -> _Choice:
    if not snapshot.policy.inline_routers:
        raise RouterForbidden("routers in requests are switched off here", "router")
    try:
        router = choose.build_router(
            document,
            name="inline",
            path="router",
            catalog=snapshot.catalog,
            compilers=_COMPILERS,
            strict=False,
        )
    except ConfigError as error:
        fault = error.faults[0]
        raise InvalidRouter(fault.message, fault.path) from None
    return _Choice(INLINE, router, router.warnings)


def _plan(snapshot: Snapshot, choice: _Choice, context: Context) -> tuple[Plan, tuple[str, ...]]:
    """Plan ``choice``; when nothing of it can be tried, the default chain steps in."""
    plan = choose.plan(choice.router, context) if choice.router else None
    if plan is not None:
        return plan, choice.warnings
    plan = choose.plan(snapshot.default, context) if snapshot.default else None
    if plan is None:
        raise NoCandidate("no backend is available for this request", "model")
    return plan, (*choice.warnings, "no_candidate")


def _unknown(model: str, snapshot: Snapshot) -> str:
    known = [*sorted(snapshot.backends), *(f"router/{name}" for name in sorted(snapshot.routers))]
    listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return f"model {model[:100]!r} does not exist here; known: {listed}"


def _compile_condition(document: object, path: str) -> Predicate:
    return match.compile_condition(document, path, flags={}).matches


_COMPILERS = Compilers(accessor=match.compile_accessor, condition=_compile_condition)
