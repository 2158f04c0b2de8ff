"""One decision: match → choose → rewrite, deterministic in its arguments."""

from collections.abc import Iterator
from itertools import dropwhile, islice
from typing import NamedTuple

from sidecar import choose, match, rewrite
from sidecar.errors import ConfigError, InvalidRouter, ModelNotFound, NoCandidate, RouterForbidden
from sidecar.model import (
    FORGETFUL,
    Compilers,
    Context,
    Decision,
    Entropy,
    InferenceRequest,
    Memory,
    Plan,
    Predicate,
    Resolver,
    Router,
    Snapshot,
    Stats,
    guard_finder,
    trial_finder,
)

INLINE, STORED, NAMED, DEFAULT = "(inline)", "(router)", "(model)", "(default)"
BUDGET = "(budget)"
"""What stands for a route's name when no route decided; the brackets keep routes' names apart."""


class _Choice(NamedTuple):
    route: str
    router: Router


def decide(
    snapshot: Snapshot,
    stats: Stats,
    request: InferenceRequest,
    entropy: Entropy,
    now: float,
    memory: Memory = FORGETFUL,
) -> Decision:
    """Decide where ``request`` goes. ``now``: Unix time in seconds.

    Raises RequestError (InvalidRouter, ScriptError, RouterForbidden, ModelNotFound,
    BudgetExceeded, NoCandidate), and Pending when a guard has to be asked first.
    """
    return decide_in(snapshot, Context(request, stats, entropy, now, memory, None, [], []))


def decide_in(snapshot: Snapshot, context: Context) -> Decision:
    """Decide as `decide` does; the context may have a trail, which then collects the reasons."""
    request, entropy = context.request, context.entropy
    spending = None if snapshot.budgets is None else choose.Spending(snapshot.budgets, context)
    route, plan = plan_in(snapshot, context, spending)
    return Decision(
        id=decision_id(entropy.seed, context.now),
        route=route,
        plan=plan,
        splices=tuple([rewrite.patch(request, attempt) for attempt in plan.attempts]),
        config_version=snapshot.version,
        model=request.model,
        warnings=tuple(context.warnings or ()),
        hide_usage=rewrite.hides_usage(request),
        charges=() if spending is None else spending.charges,
    )


def decision_id(seed: int, now: float) -> str:
    """Return the id of the decision that is made with ``seed`` at ``now``, to the millisecond."""
    return f"{round(now * 1000):012x}{seed:016x}"


def plan_in(
    snapshot: Snapshot, context: Context, spending: choose.Spending | None = None
) -> tuple[str, Plan]:
    """Return the route that decides and its plan; those before it with nothing to try are passed.

    Without ``spending`` budgets are not asked. Raises as `decide` does.
    """
    switched = None if spending is None else spending.admit()
    choices = _choices(snapshot, context)
    for route, router in choices if switched is None else [_Choice(BUDGET, switched)]:
        plan, chosen = _planned(route, router, context, spending)
        if plan is not None:
            plan = _with_assigned(plan, context) if context.assigned else plan
            return route, plan if spending is None else spending.settle(route, plan)
        if chosen and (router.type not in choose.SELECTIVE or context.assigned):
            context.warn("no_candidate")
        if context.trail is not None:
            context.trail.pass_over(route)
    if spending is not None:
        spending.reject()
    raise NoCandidate(_nothing(snapshot, context.request), "model", tuple(context.assigned or ()))


def _planned(
    route: str, router: Router, context: Context, spending: choose.Spending | None
) -> tuple[Plan | None, bool]:
    """Return the plan for a choice, and whether its router was asked: a budget may say no."""
    if spending is None:
        return choose.plan(router, context), True
    allowed = spending.through(route, router)
    if allowed is None:
        return None, False
    plan = choose.plan(allowed, context, spending.spent if spending.leaves_out else None)
    if plan is not None and (allowed is not router or route == BUDGET):
        plan = plan._replace(strategy=f"budget/{plan.strategy}")
    return plan, True


def _with_assigned(plan: Plan, context: Context) -> Plan:
    """Add the arms that the request is in although they had nothing to try."""
    more = [one for one in context.assigned or () if one not in plan.effects]
    return plan._replace(effects=(*plan.effects, *more))


def _choices(snapshot: Snapshot, context: Context) -> Iterator[_Choice]:
    """Yield by precedence: router in the request, `router/<name>`, routes, backend, default.

    A router that is asked for by name or in the request has only the default chain behind it.
    """
    asked = _asked_for(snapshot, context)
    if asked is not None:
        yield asked
    else:
        yield from _by_route(snapshot, context)
        yield from _by_model(snapshot, context)
    if snapshot.default is not None:
        yield _Choice(DEFAULT, snapshot.default)


def _asked_for(snapshot: Snapshot, context: Context) -> _Choice | None:
    request = context.request
    if "router" in request.spans:
        inline = request.value(("router",))
        if inline is not None:
            return _inline(snapshot, inline)
    model = request.model or ""
    if model.startswith("router/") and (stored := snapshot.routers.get(model[7:])):
        return _Choice(STORED, stored)
    return None


def _by_route(snapshot: Snapshot, context: Context) -> Iterator[_Choice]:
    """Yield the routes that match, in order; the ones after the first are rarely needed."""
    first = None
    if context.trail is None:
        first = snapshot.routes.first(context)
        if first is None:
            return
        yield _Choice(first.name, first.router)
    routes = snapshot.routes.possible(context.request.model)
    if first is not None:
        routes = islice(dropwhile(lambda route: route is not first, routes), 1, None)
    for route in routes:
        matched = route.matches is None or route.matches(context)
        if context.trail is not None:
            context.trail.route(route.name, route.order, matched=matched)
        if matched:
            yield _Choice(route.name, route.router)


def _by_model(snapshot: Snapshot, context: Context) -> Iterator[_Choice]:
    model = context.request.model or ""
    leaf = snapshot.catalog.leaf(model, {}) if model else None
    if leaf is not None:
        yield _Choice(NAMED, choose.only(leaf))
        return
    if snapshot.policy.unknown_model == "reject":
        raise ModelNotFound(_unknown(model, snapshot), "model")
    context.warn("unknown_model")


def _inline(snapshot: Snapshot, document: object) -> _Choice:
    if not snapshot.policy.inline_routers:
        raise RouterForbidden("routers in requests are switched off here", "router")
    try:
        router = choose.build_router(
            document,
            name="inline",
            path="router",
            catalog=snapshot.catalog,
            compilers=_COMPILERS._replace(
                guard=guard_finder(snapshot.guards), experiment=trial_finder(snapshot.trials)
            ),
            strict=False,
            scripts=snapshot.policy.inline_scripts,
        )
    except ConfigError as error:
        fault = error.faults[0]
        raise InvalidRouter(fault.message, fault.path) from None
    return _Choice(INLINE, router)


def _nothing(snapshot: Snapshot, request: InferenceRequest) -> str:
    """Say why no backend is left, as far as the request itself is the reason."""
    misfits = choose.unfit([*snapshot.backends.values()], request)
    listed = "; ".join(f"{name}: {why}" for name, why in [*misfits.items()][:10])
    return "no backend is available for this request" + (f" ({listed})" if listed else "")


def _unknown(model: str, snapshot: Snapshot) -> str:
    known = [*sorted(snapshot.backends), *(f"router/{name}" for name in sorted(snapshot.routers))]
    listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return f"model {model[:100]!r} does not exist here; known: {listed}"


def _compile_condition(document: object, path: str, subjects: Resolver) -> Predicate:
    return match.compile_condition(document, path, subjects=subjects, untrusted=True).matches


_COMPILERS = Compilers(accessor=match.compile_accessor, condition=_compile_condition)
