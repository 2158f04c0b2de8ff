"""From a router to the ordered attempts of one request; the only code here that runs per request.

What does not depend on the request is prepared when the router is built: candidates of leaves
with their merged parameters, without disabled backends.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sidecar.choose.definition import label
from sidecar.choose.fallback import AsListed
from sidecar.choose.strategies import STRATEGIES
from sidecar.model import MAX_ATTEMPTS, Attempt, Candidate, Context, Leaf, Plan, Router

_AS_LISTED = AsListed()


class Nested(NamedTuple):
    """A target that is a router: its candidate is made anew for each request."""

    place: int
    label: str
    router: "Prepared"


class Prepared(Router, frozen=True):
    """A router with what each plan needs. ``depth`` of a router without nested ones is 1."""

    sources: tuple[Candidate | Nested, ...] = ()
    ready: tuple[Candidate, ...] | None = None
    """The candidates when every backend is ready, unless a target is a router."""
    names: frozenset[str] = frozenset()
    """All backends under this router."""
    distinct: bool = True
    """No two targets share a backend, so no attempt can occur twice (plans below have none)."""
    depth: int = 1
    size: int = 0
    """Targets under this router, over all levels."""


def prepare(router: Router, inherited: Mapping[str, Any] | None = None) -> Prepared:
    """Make ready what plans need; ``inherited``: parameters from the routers around this one."""
    if isinstance(router, Prepared) and not inherited:
        return router
    parameters = {**(inherited or {}), **router.parameters}
    sources = _sources(router, parameters)
    leaves = tuple([source for source in sources if isinstance(source, Candidate)])
    nested = [source.router for source in sources if isinstance(source, Nested)]
    names = [attempt.backend.name for leaf in leaves for attempt in leaf.plan.attempts]
    unique = frozenset(names).union(*(inner.names for inner in nested))
    return Prepared(
        name=router.name,
        type=router.type,
        strategy=router.strategy,
        targets=router.targets,
        keep_rest=router.keep_rest,
        parameters=parameters,
        warnings=router.warnings,
        sources=sources,
        ready=None if nested else leaves,
        names=unique,
        distinct=len(unique) == len(names) + sum(len(inner.names) for inner in nested),
        depth=1 + max((inner.depth for inner in nested), default=0),
        size=len(router.targets) + sum(inner.size for inner in nested),
    )


def only(leaf: Leaf) -> Router:
    """Return the router that tries the backends of ``leaf`` one after the other."""
    router = Router(leaf.label, "fallback", _AS_LISTED, (leaf,))
    return prepare(router)


def plan(router: Router, context: Context) -> Plan | None:
    """Return what to try for this request, best first; ``None`` when nothing is available.

    Backends that are disabled or not ready are left out, exact duplicates too, and a plan ends
    after MAX_ATTEMPTS. The probability is that of the draws on the way to the first attempt.
    """
    prepared = prepare(router)
    candidates = _candidates(prepared, context)
    if not candidates:
        return None
    order, probability = prepared.strategy.rank(candidates, context)
    if not order:
        return None
    first = order[0].plan
    inner = first.strategy
    return Plan(
        _attempts(prepared, order) if prepared.keep_rest else first.attempts[:MAX_ATTEMPTS],
        probability * first.probability,
        f"{prepared.type}/{inner}" if inner else prepared.type,
    )


def _attempts(router: Prepared, order: Sequence[Candidate]) -> tuple[Attempt, ...]:
    if router.distinct:
        # Each candidate has at least one attempt, so no more candidates than that are needed.
        best = order[:MAX_ATTEMPTS]
        return tuple([each for one in best for each in one.plan.attempts][:MAX_ATTEMPTS])
    found: list[Attempt] = []
    for attempt in (each for one in order for each in one.plan.attempts):
        if attempt not in found:
            found.append(attempt)
            if len(found) == MAX_ATTEMPTS:
                break
    return tuple(found)


def _candidates(router: Prepared, context: Context) -> Sequence[Candidate]:
    unready = context.stats.unready
    if router.ready is not None and router.names.isdisjoint(unready):
        return router.ready
    found = (_available(source, unready, context) for source in router.sources)
    return [candidate for candidate in found if candidate is not None]


def _available(
    source: Candidate | Nested, unready: frozenset[str], context: Context
) -> Candidate | None:
    if isinstance(source, Nested):
        inner = plan(source.router, context)
        return inner and Candidate(source.place, source.label, inner)
    attempts = source.plan.attempts
    ready = tuple([attempt for attempt in attempts if attempt.backend.name not in unready])
    if len(ready) == len(attempts):
        return source
    return source._replace(plan=source.plan._replace(attempts=ready)) if ready else None


def _sources(router: Router, parameters: Mapping[str, Any]) -> tuple[Candidate | Nested, ...]:
    definition = STRATEGIES.get(router.type)
    spread = definition is not None and definition.spread
    found: list[Candidate | Nested] = []
    for place, target in enumerate(router.targets):
        if isinstance(target, Leaf):
            found += _leaf(place, target, parameters, spread=spread)
        else:
            found.append(Nested(place, label(target), prepare(target, parameters)))
    return tuple(found)


def _leaf(
    place: int, leaf: Leaf, parameters: Mapping[str, Any], *, spread: bool
) -> Iterable[Candidate]:
    """Return the candidates of a leaf: one for each backend, or one for all of them."""
    merged = {**parameters, **leaf.parameters}
    enabled = sorted(
        (backend for backend in leaf.backends if backend.enabled),
        key=lambda backend: (backend.priority, backend.name),
    )
    attempts = tuple(Attempt(backend, merged) for backend in enabled)
    groups = [(attempt,) for attempt in attempts] if spread else [attempts] if attempts else []
    return [Candidate(place, leaf.label, Plan(group, 1.0, "")) for group in groups]
