"""From a router to the ordered attempts of one request; the only code here that runs per request.

What does not depend on the request is prepared when the router is built: candidates of leaves
with their merged parameters, without disabled backends.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sidecar.choose.definition import label
from sidecar.choose.ejection import put_back
from sidecar.choose.fallback import AsListed
from sidecar.choose.fitness import unfit
from sidecar.choose.strategies import STRATEGIES
from sidecar.model import (
    MAX_ATTEMPTS,
    Assignment,
    Attempt,
    Backend,
    Candidate,
    Context,
    Effect,
    Leaf,
    Plan,
    Ranking,
    Router,
    Trail,
)

_AS_LISTED = AsListed()
_NOTHING = Ranking(())

Spent = Callable[[frozenset[str]], Mapping[str, str]]
"""Returns those of the backends whose budget is used up, and why that is so."""


class Nested(NamedTuple):
    """A target that is a router: its candidate is made anew for each request."""

    place: int
    label: str
    router: "Prepared"


class Prepared(Router, frozen=True):
    """A router with what each plan needs. ``depth`` of a router without nested ones is 1."""

    sources: tuple[Candidate | Nested, ...] = ()
    ready: tuple[Candidate, ...] | None = None
    """The candidates when no backend is out, unless a target is a router."""
    names: frozenset[str] = frozenset()
    """All backends under this router."""
    choosy: tuple[Backend, ...] = ()
    """Those of them that do not take every request."""
    lazy: bool = False
    """Nested routers are planned after the ranking, as far as they are needed."""
    nested: int = 0
    """How many targets are routers."""
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
    own = [attempt.backend for leaf in leaves for attempt in leaf.plan.attempts]
    unique = frozenset(one.name for one in own).union(*(inner.names for inner in nested))
    every = [*own, *(one for inner in nested for one in inner.choosy)]
    definition = STRATEGIES.get(router.type)
    return Prepared(
        name=router.name,
        type=router.type,
        strategy=router.strategy,
        targets=router.targets,
        keep_rest=router.keep_rest,
        parameters=parameters,
        sources=sources,
        ready=None if nested else leaves,
        names=unique,
        choosy=tuple({one.name: one for one in every if one.choosy}.values()),
        nested=len(nested),
        lazy=bool(nested) and definition is not None and definition.lazy,
        distinct=len(unique) == len(own) + sum(len(inner.names) for inner in nested),
        depth=1 + max((inner.depth for inner in nested), default=0),
        size=len(router.targets) + sum(inner.size for inner in nested),
    )


def only(leaf: Leaf) -> Router:
    """Return the router that tries the backends of ``leaf`` one after the other."""
    router = Router(leaf.label, "fallback", _AS_LISTED, (leaf,))
    return prepare(router)


def plan(router: Router, context: Context, spent: Spent | None = None) -> Plan | None:
    """Return what to try for this request, best first; ``None`` when nothing is available.

    ``spent``: tells which of the backends are left out for their budgets.

    Backends that are disabled, not ready or unfit for the request are left out, exact duplicates
    too, and a plan ends after MAX_ATTEMPTS; those that are out come last. The
    probability is that of the draws on the way to the first attempt. Raises Pending when a guard
    has to be asked first.
    """
    prepared = prepare(router)
    out = context.stats.unready
    if prepared.choosy and (misfits := unfit(prepared.choosy, context.request)):
        out = out.union(misfits)
        if context.trail is not None:
            context.trail.unfit = misfits
    if spent is not None and (ended := spent(prepared.names)):
        out = out.union(ended)
        if context.trail is not None:
            context.trail.unfit = {**ended, **context.trail.unfit}
    found = _plan(prepared, context, out)
    if found is None or prepared.names.isdisjoint(context.stats.out):
        return found
    return put_back(found, context)


def _plan(router: Prepared, context: Context, out: frozenset[str]) -> Plan | None:
    trail = context.trail
    if trail is not None:
        trail.enter(router.name, router.type)
        _note_left_out(router, context, out, trail)
    candidates = _candidates(router, context, out)
    ranking = router.strategy.rank(candidates, context) if candidates else _NOTHING
    course = ranking.course
    step = router.lazy or course is not None
    order = [*_planned(router, ranking, context, out)] if step else ranking.order
    if trail is not None:
        trail.leave([(one.label, one.backend.name) for one in order], ranking.probability)
    if not order:
        if ranking.effects and context.assigned is not None:
            _keep_assigned(ranking.effects, context.assigned)
        return None
    first = order[0].plan
    inner, effects = first.strategy, first.effects + ranking.effects
    return Plan(
        _attempts(router, order) if router.keep_rest else first.attempts[:MAX_ATTEMPTS],
        ranking.probability * first.probability,
        f"{router.type}/{inner}" if inner else router.type,
        effects if course is None else effects + course.effects(order[0]),
    )


def _keep_assigned(effects: Iterable[Effect], assigned: list[Assignment]) -> None:
    """Keep the arms that the request is in: those whom an arm fails are counted with it."""
    for effect in effects:
        if isinstance(effect, Assignment):
            missed = effect._replace(missed=True)
            if missed not in assigned:
                assigned.append(missed)


def _planned(
    router: Prepared, ranking: Ranking, context: Context, out: frozenset[str]
) -> Iterator[Candidate]:
    """Plan the nested routers of a lazy ranking; without a rest to keep one plan is enough."""
    found, course = 0, ranking.course
    order: Sequence[Candidate | Nested] = ranking.order
    for one in order:
        if course is not None and not course.admits(one, decided=found > 0):
            continue
        candidate = _available(one, context, out) if isinstance(one, Nested) else one
        if candidate is not None:
            yield candidate
            found += len(candidate.plan.attempts)
            if not router.keep_rest or (router.distinct and found >= MAX_ATTEMPTS):
                return


def _note_left_out(router: Prepared, context: Context, out: frozenset[str], trail: Trail) -> None:
    """Note the backends of this router's own targets that are not tried, and why."""
    for place, target in enumerate(router.targets):
        for backend in target.backends if isinstance(target, Leaf) else ():
            reason = _why_out(backend, context, out, trail)
            if reason is not None:
                trail.leave_out(label(target), place, backend.name, reason)


def _why_out(backend: Backend, context: Context, out: frozenset[str], trail: Trail) -> str | None:
    if not backend.enabled:
        return "disabled"
    if backend.name in context.stats.unready:
        return "Envoy does not have it (yet)"
    return trail.unfit[backend.name] if backend.name in out else None


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


def _candidates(router: Prepared, context: Context, out: frozenset[str]) -> Sequence[Any]:
    if router.lazy and len(router.targets) == router.nested:
        return router.sources
    if router.ready is not None and router.names.isdisjoint(out):
        return router.ready
    found = [_source(source, router, context, out) for source in router.sources]
    return [candidate for candidate in found if candidate is not None]


def _source(
    source: Candidate | Nested, router: Prepared, context: Context, out: frozenset[str]
) -> Any:
    """Return the candidate of ``source``, or of a lazy router's nested one the source itself."""
    if router.lazy and isinstance(source, Nested):
        return source
    return _available(source, context, out)


def _available(
    source: Candidate | Nested, context: Context, out: frozenset[str]
) -> Candidate | None:
    if isinstance(source, Nested):
        inner = _plan(source.router, context, out)
        return inner and Candidate(source.place, source.label, inner)
    attempts = source.plan.attempts
    usable = tuple([attempt for attempt in attempts if attempt.backend.name not in out])
    if len(usable) == len(attempts):
        return source
    return source._replace(plan=source.plan._replace(attempts=usable)) if usable else None


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
