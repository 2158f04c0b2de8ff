"""Documents → Snapshot: pure, all faults of all documents at once.

Most edits touch one document among many, so a Memo keeps what the last compile made and whatever
still fits is taken over: after the edit of one route of 10,000, one route is compiled.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sidecar import match
from sidecar.config.base import Base, build_router, compile_base, compilers_for
from sidecar.config.budgets import CompiledBudgets, compile_budgets
from sidecar.config.documents import KINDS, Digester, Documents, check_name
from sidecar.config.expectations import check_test
from sidecar.config.keys import compile_keys
from sidecar.config.rules import Rule, compile_rule, decode_route
from sidecar.errors import ConfigError, Fault
from sidecar.model import BASE_HEADERS, KeyOwner, Policy, Route, Router, Snapshot, Trial

_POLICY = Policy()
_KEY_HEADERS = match.headers_of("api_key")


class _Entry(NamedTuple):
    """A route as compiled on top of ``base``; ``route`` is ``None`` when it is switched off.

    ``tries``: its router names an experiment.
    """

    rule: Rule
    base: Base
    route: Route | None
    headers: frozenset[str]
    tries: bool

    def fits(self, text: bytes, base: Base) -> bool:
        """Tell whether ``text`` would compile to this very entry on top of ``base``."""
        if self.rule.text != text:
            return False
        # Bases with one and the same catalog differ in experiments alone.
        return self.base is base or (not self.tries and self.base.catalog is base.catalog)


class _Keys(NamedTuple):
    """Valid while the texts stay the same."""

    texts: Mapping[str, bytes]
    owners: Mapping[str, KeyOwner]


class Memo:
    """What the last good compile made. One compile at a time may use it."""

    def __init__(self) -> None:
        self.digest = Digester()
        self.base: Base | None = None
        self.entries: Mapping[str, _Entry] = {}
        self.keys = _Keys({}, {})
        self.budgets = CompiledBudgets()
        self.tests: Mapping[str, bytes] = {}


def compile_snapshot(
    documents: Documents, *, version: int, policy: Policy = _POLICY, memo: Memo | None = None
) -> Snapshot:
    """Compile all documents; raises ConfigError with every fault, each with its path.

    ``memo`` is only changed when the documents are good.
    """
    memo = memo or Memo()
    faults = [*_check_tests(documents.tests, memo.tests)]
    keys = memo.keys
    if keys.texts != documents.keys:
        keys = _Keys(documents.keys, compile_keys(documents.keys, faults))
    base = memo.base
    if base is None or not base.fits(documents):
        base = compile_base(documents, faults, base, policy)
    entries = _compile_routes(documents.routes, base, memo.entries, faults)
    budgets = memo.budgets
    if not budgets.fits(documents.budgets, base, documents.routes):
        budgets = compile_budgets(documents.budgets, base, documents.routes, faults)
    if faults:
        raise ConfigError(_in_order(faults))
    memo.base, memo.entries, memo.keys, memo.tests = base, entries, keys, documents.tests
    memo.budgets = budgets
    routes = tuple(one.route for one in entries.values() if one.route)
    return Snapshot(
        version=version,
        digest=memo.digest(documents),
        backends=base.backends,
        routers=base.routers,
        routes=match.build_index(routes),
        route_list=routes,
        catalog=base.catalog,
        default=base.default,
        headers=_headers(
            base, entries.values(), budgets.headers | (_KEY_HEADERS if keys.owners else set())
        ),
        policy=policy,
        keys=keys.owners,
        guards=base.guards,
        flags=base.flags.predicates,
        experiments={name: trial.experiment for name, trial in base.trials.items()},
        trials=base.trials,
        route_texts={name: one.rule.text for name, one in entries.items()},
        budgets=budgets.budgets,
    )


def _in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Return each fault once, by kind: backends first, for the rest refers to them."""
    order: dict[str, int] = {kind: place for place, kind in enumerate(KINDS)}
    return sorted(
        dict.fromkeys(faults), key=lambda fault: order.get(fault.path.partition(".")[0], -1)
    )


def _check_tests(texts: Mapping[str, bytes], known: Mapping[str, bytes]) -> Iterator[Fault]:
    """Tests only have to be well-formed: nobody runs them here, and a live rule may break one."""
    for name, text in texts.items():
        if known.get(name) != text:
            yield from check_test(name, text)


def _compile_routes(
    texts: Mapping[str, bytes], base: Base, known: Mapping[str, _Entry], faults: list[Fault]
) -> dict[str, _Entry]:
    entries = {}
    for name, text in texts.items():
        entry = known.get(name)
        if entry is None or not entry.fits(text, base):
            try:
                entry = _compile_route(name, text, base, entry.rule if entry else None)
            except ConfigError as error:
                faults.extend(error.faults)
                continue
        entries[name] = entry
    return entries


def _compile_route(name: str, text: bytes, base: Base, known: Rule | None) -> _Entry:
    """Compile one route; ``known`` is its rule of last time, taken over when it still fits."""
    faults = [*check_name("routes", name)]
    if known is not None and known.text == text and known.flags is base.flags:
        rule = known
    else:
        rule = compile_rule(name, text, base.flags, faults)
    headers, tried = set[str](), set[str]()
    try:
        router = _router(decode_route(name, text).router, name, base, headers, tried)
    except ConfigError as error:
        raise ConfigError([*faults, *error.faults]) from None
    if faults:
        raise ConfigError(faults)
    if not rule.enabled:
        return _Entry(rule, base, None, frozenset(), bool(tried))
    condition = rule.condition
    if condition is None:
        route = Route(name, rule.order, router)
        return _Entry(rule, base, route, frozenset(headers), bool(tried))
    route = Route(name, rule.order, router, condition.matches, condition.models)
    read = condition.headers if headers <= condition.headers else condition.headers | headers
    return _Entry(rule, base, route, read, bool(tried))


def _router(
    given: str | dict[str, Any], name: str, base: Base, headers: set[str], tried: set[str]
) -> Router:
    """Return the router of a route: a stored one, one that wraps a target, or its own.

    The routers of names are shared: thousands of routes may point to a few targets. Experiments
    that it names go to ``tried``.
    """
    path = f"routes.{name}.router"

    def find_trial(experiment: str, path: str) -> Trial:
        tried.add(experiment)
        return base.find_trial(experiment, path)

    compilers = compilers_for(base.flags, base.guards, headers, find_trial)
    if not isinstance(given, str):
        return build_router(given, name, path, base.catalog, compilers)
    router = base.named.get(given)
    if router is None:
        router = build_router(given, given, path, base.catalog, compilers)
        base.named[given] = router
    return router


def _headers(base: Base, entries: Iterable[_Entry], more: frozenset[str]) -> tuple[str, ...]:
    """Return the request headers that live documents read, in an order of their own.

    They are part of Envoy's filter configuration: an edit that reads no new header must give
    the same tuple, or each edit would swap the filter.
    """
    read = set().union(BASE_HEADERS, base.headers, more, *{entry.headers for entry in entries})
    return tuple(sorted(read))
