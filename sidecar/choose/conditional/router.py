"""`conditional`: the first route whose conditions hold; checks run before, as far as it needs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from sidecar.choose.conditional.any_target import any_target
from sidecar.choose.conditional.checks import Check, CheckFailed, Subjects, Visit
from sidecar.choose.conditional.guardrail import guardrail
from sidecar.choose.conditional.rate_limiter import rate_limiter
from sidecar.choose.definition import Arm, Definition, Inner, Site
from sidecar.choose.fallback import Fallback
from sidecar.choose.fields import kind, part, quoted
from sidecar.errors import ConfigError
from sidecar.model import (
    Candidate,
    Context,
    Effect,
    Judged,
    Leaf,
    Pending,
    Predicate,
    Ranking,
    Router,
    Strategy,
    Trail,
)

MAX_ROUTES = 100
"""Also of checks. Rules of thousands belong into routes, which are found by an index."""

MAX_INLINE_CONDITIONS = 32 * 1024
"""Bytes, over all levels of a router in a request: compiling them takes about 20 ms."""

_CHECKS: Mapping[str, Callable[[Any, Site, str], Check | None]] = {
    "rate_limiter": rate_limiter,
    "guardrail": guardrail,
    "guard": guardrail,
}


_UNMET = "its conditions do not hold"


class Rule(NamedTuple):
    """When a route may be taken; ``matches`` is ``None`` for one that always may."""

    name: str
    matches: Predicate | None


class FirstThatHolds(msgspec.Struct, frozen=True):
    """Asks the routes one after the other; what stands behind all of them is not asked."""

    rules: tuple[Rule | None, ...]

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return the routes as listed, each to be asked when its turn comes."""
        return Ranking(candidates, course=Walk(self.rules, context))


class Walk:
    """The way of one request along the routes of one router."""

    __slots__ = ("_counted", "_routes", "_rules", "_trail", "_visit")

    def __init__(self, rules: Sequence[Rule | None], context: Context) -> None:
        self._rules = rules
        self._visit = Visit.of(context)
        self._counted = 0
        self._trail = context.trail
        self._routes: dict[str, bool | str] = {}

    def admits(self, candidate: Judged, *, decided: bool) -> bool:
        """Tell whether the route holds.

        When it is decided where the request goes, nobody is asked any more: a route that needs
        the verdict of a guard who was not asked is then no fallback.
        """
        rule = self._rules[candidate.place]
        if rule is None:
            return True
        try:
            held, why = rule.matches is None or rule.matches(self._visit), ""
        except CheckFailed as failed:
            held, why = False, str(failed)
        except Pending as pending:
            if not decided:
                raise
            held, why = False, f"guard {pending.hook.guard.name} was not asked"
        if not decided:
            self._counted = len(self._visit.ran)
        if self._trail is not None:
            self._routes[rule.name] = why or held
            self._note(self._trail, candidate, None if held else why or _UNMET)
        return held

    def effects(self, first: Candidate) -> tuple[Effect, ...]:
        """Return what the checks want to be remembered that ran until the decision."""
        ran = [*self._visit.ran.values()][: self._counted]
        found: tuple[Effect, ...] = ()
        for check, result, _ in ran:
            if result is not None:
                found += check.effects(result, first, self._visit)
        return found

    def _note(self, trail: Trail, candidate: Judged, excluded: str | None) -> None:
        if excluded is not None:
            trail.exclude(candidate, excluded)
        trail.note("routes", self._routes)
        ran = self._visit.ran.values()
        trail.note("pre_request", {one.check.name: one.result or one.failure for one in ran})


class RouteDocument(msgspec.Struct, frozen=True):
    """``message_mapper`` is LangDB's and does nothing here, as it does nothing there."""

    name: str | None = None
    conditions: Any = None
    targets: Any = None
    message_mapper: Any = None


class Conditional(Definition, frozen=True, kw_only=True):
    """The document of a `conditional` router.

    `targets` stand behind all routes. LangDB's `post_request` is accepted and does nothing.
    """

    names: ClassVar = ("conditional",)
    lazy: ClassVar = True

    pre_request: tuple[Any, ...] | None = None
    routes: tuple[Any, ...] = ()
    post_request: Any = None

    def arms(self, site: Site) -> list[Arm]:
        """Return a target for each route, then those that stand behind all routes."""
        routes, checks = self.routes, self.pre_request or ()
        if site.document.get("routes", []) == []:
            site.fault(".routes", "a conditional router needs at least one route")
        for where, listed in ((".routes", routes), (".pre_request", checks)):
            if len(listed) > MAX_ROUTES:
                site.fault(where, f"more than {MAX_ROUTES}")
                return []
        subjects = _subjects(checks, site)
        arms = [
            arm
            for place, route in enumerate(routes)
            if (arm := _route(route, f".routes[{place}]", site, subjects)) is not None
        ]
        return arms + (super().arms(site) if "targets" in site.document else [])

    def strategy(
        self, _site: Site, arms: Sequence[Arm], _targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the walk along the routes."""
        return FirstThatHolds(tuple(arm.rule for arm in arms))


def _subjects(documents: Sequence[Any], site: Site) -> Subjects:
    """Compile the checks; one that is wrong stays known, so that who reads it is not at fault."""
    checks: dict[str, Check | None] = {}
    for place, document in enumerate(documents):
        where = f".pre_request[{place}]"
        if not isinstance(document, dict):
            site.fault(where, f"expected an object, got {kind(document)}")
            continue
        name = document.get("name")
        if not isinstance(name, str) or not name or "." in name:
            site.fault(f"{where}.name", "needs a name without dots")
        elif name in checks:
            site.fault(f"{where}.name", f"{quoted(name)} is there already")
        else:
            checks[name] = _check(document, site, where)
    return Subjects(checks)


def _check(document: Mapping[str, Any], site: Site, where: str) -> Check | None:
    name = document.get("type")
    build = _CHECKS.get(name) if isinstance(name, str) else None
    if build is not None:
        return build(document, site, where)
    what = f"unknown type {quoted(name)}" if "type" in document else "missing"
    site.fault(f"{where}.type", f"{what}; known: {', '.join(_CHECKS)}")
    return None


def _route(document: Any, where: str, site: Site, subjects: Subjects) -> Arm | None:
    """Compile a route; ``None`` when it is wrong, or leads nowhere."""
    route = part(document, RouteDocument, site, where)
    if route is None:
        return None
    name = route.name or where.removeprefix(".")
    matches = None
    if route.conditions is not None and not _too_much(route.conditions, site, where):
        path = f"{site.path}{where}.conditions"
        try:
            matches = site.compilers.condition(route.conditions, path, subjects)
        except ConfigError as error:
            site.findings.faults.extend(error.faults)
    arm = _arm(route.targets, f"{site.name}/{name}", site, where)
    return arm and arm._replace(rule=Rule(name, matches))


def _too_much(conditions: Any, site: Site, where: str) -> bool:
    """Tell whether the conditions of a router in a request take too long to compile."""
    if site.strict:
        return False
    before = site.findings.conditions
    site.findings.conditions += len(msgspec.json.encode(conditions))
    if before <= MAX_INLINE_CONDITIONS < site.findings.conditions:
        site.fault(f"{where}.conditions", f"over {MAX_INLINE_CONDITIONS} bytes with those before")
    return site.findings.conditions > MAX_INLINE_CONDITIONS


def _arm(targets: Any, name: str, site: Site, where: str) -> Arm | None:
    """Return what a route leads to, in any of its forms: see `docs/rules.md`."""
    place = f"{where}.targets"
    if isinstance(targets, list) and targets:
        listed = Fallback(type="fallback", targets=tuple(targets))
        return Arm(where, Inner(name, {"targets": targets}, listed))
    if targets in (None, []):
        # LangDB goes on behind such a route, which for one that is stored must be a slip.
        if site.strict:
            site.fault(place, "a route needs targets")
        return None
    if isinstance(targets, dict) and "$any" in targets:
        inner = any_target(targets, name, site, place)
        return inner and Arm(place, inner)
    if isinstance(targets, dict) and "type" in targets and not targets.keys() & {"model", "router"}:
        return Arm(place, Inner(name, targets))
    return Arm(place, targets)
