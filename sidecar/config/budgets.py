"""Budget documents: how much may be used in a period, by whom, and what happens at the end."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from sidecar import match
from sidecar.config.base import Base, build_router, compilers_for
from sidecar.config.documents import check_name
from sidecar.config.faults import decode, nearest
from sidecar.errors import ConfigError, Fault
from sidecar.model import (
    Accessor,
    Budget,
    Budgets,
    Compilers,
    Entries,
    Per,
    Predicate,
    Router,
    Unit,
    following_periods,
    key_prefix,
    load_zone,
)

_PLAIN = frozenset({"user.tenant", "user.tier", "api_key", "model", "operation", "path", "region"})
"""Subjects whose values are no people's: they are shown as they are."""
_NAMED = ("route", "backend")

Kind = Literal["global", "subject", "route", "backend"]
Limit = Annotated[float, msgspec.Meta(ge=0, le=1e15)]


class BudgetDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``limit`` of ``unit`` per ``per``, for each value of ``scope`` by itself.

    ``then``: what happens to requests at the end; `{"router": …}` or a router decides them instead.
    """

    limit: Limit
    unit: Unit
    per: Per
    scope: str = "global"
    match: dict[str, Any] | None = None
    then: Literal["reject", "warn"] | dict[str, Any] = "reject"
    on_store_down: Literal["allow", "reject"] = "allow"
    timezone: str = "UTC"
    enabled: bool = True
    description: str = ""


class _Scope(NamedTuple):
    """``only``: the one route or backend that is meant, if the scope names it."""

    kind: Kind
    only: str | None = None
    value: Accessor | None = None


class CompiledBudgets(NamedTuple):
    """Valid while the texts, the base and the names of routes stay the same.

    ``headers``: the request headers that budgets read. ``budgets``: ``None`` when there are none.
    """

    texts: Mapping[str, bytes] = {}
    base: Base | None = None
    routes: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()
    budgets: Budgets | None = None

    def fits(self, texts: Mapping[str, bytes], base: Base, routes: Iterable[str]) -> bool:
        """Tell whether these would compile to this very value."""
        if self.texts != texts:
            return False
        return not texts or (self.base is base and self.routes.issubset(routes))


def compile_budgets(
    texts: Mapping[str, bytes], base: Base, routes: Mapping[str, Any], faults: list[Fault]
) -> CompiledBudgets:
    """Compile all budgets; what is wrong goes to ``faults``. ``routes``: by name."""
    headers: set[str] = set()
    compilers = compilers_for(base.flags, base.guards, headers, base.find_trial)
    found: list[Budget] = []
    for name in sorted(texts):
        faults.extend(check_name("budgets", name))
        try:
            document = decode(texts[name], BudgetDocument, f"budgets.{name}")
        except ConfigError as error:
            faults.extend(error.faults)
            continue
        budget = _Compiler(name, document, base, compilers, faults, headers).compile(routes)
        if document.enabled:
            found.append(budget)
    named = frozenset(one.only for one in found if one.kind == "route" and one.only is not None)
    return CompiledBudgets(texts, base, named, frozenset(headers), _sorted(found))


class _Compiler:
    """One document on its way to a budget."""

    def __init__(
        self,
        name: str,
        document: BudgetDocument,
        base: Base,
        compilers: Compilers,
        faults: list[Fault],
        headers: set[str],
    ) -> None:
        self._name, self._path = name, f"budgets.{name}"
        self._document = document
        self._base = base
        self._compilers = compilers
        self._faults = faults
        self._headers = headers

    def compile(self, routes: Mapping[str, Any]) -> Budget:
        """Return the budget; what is wrong is noted, and something stands in for it."""
        document = self._document
        scope = self._scope(routes)
        router = self._router()
        if scope.kind == "backend" and router is not None:
            legal = "the budget of a backend leaves it out of plans; legal: reject, warn"
            self._faults.append(Fault(f"{self._path}.then", legal))
        return Budget(
            name=self._name,
            limit=document.limit,
            unit=document.unit,
            per=document.per,
            scope=document.scope,
            kind=scope.kind,
            periods=following_periods(document.per, self._zone()),
            prefix=key_prefix(self._name, document.unit, document.per, document.scope),
            value=scope.value,
            matches=self._condition(),
            only=scope.only,
            plain=scope.kind != "subject" or document.scope in _PLAIN,
            then="router" if isinstance(document.then, dict) else document.then,
            router=router,
            on_store_down=document.on_store_down,
        )

    def _scope(self, routes: Mapping[str, Any]) -> _Scope:
        scope, path = self._document.scope, f"{self._path}.scope"
        if scope == "global":
            return _Scope("global")
        kind, dot, name = scope.partition(".")
        if kind == "route" and dot:
            self._known(kind, name, routes, path)
        if kind == "backend" and dot:
            self._known(kind, name, self._base.backends, path)
        if kind in _NAMED and bool(dot) == bool(name):
            return _Scope("route" if kind == "route" else "backend", name or None)
        try:
            accessor = self._compilers.accessor(scope, path)
        except ConfigError as error:
            more = f"; legal besides: {', '.join(('global', *_NAMED))}"
            self._faults.extend(one._replace(message=one.message + more) for one in error.faults)
            return _Scope("global")
        return _Scope("subject", value=accessor)

    def _known(self, kind: str, name: str, known: Mapping[str, Any], path: str) -> None:
        if name not in known:
            near = nearest(name, sorted(known)) if known else "there is none"
            self._faults.append(Fault(path, f'unknown {kind} "{name[:100]}"; {near}'))

    def _zone(self) -> Any:
        try:
            return load_zone(self._document.timezone, f"{self._path}.timezone")
        except ConfigError as error:
            self._faults.extend(error.faults)
            return load_zone("UTC", "")

    def _condition(self) -> Predicate | None:
        if self._document.match is None:
            return None
        try:
            compiled = match.compile_condition(
                self._document.match, f"{self._path}.match", flags=self._base.flags.predicates
            )
        except ConfigError as error:
            self._faults.extend(error.faults)
            return None
        self._headers.update(compiled.headers)
        return compiled.matches

    def _router(self) -> Router | None:
        then, path = self._document.then, f"{self._path}.then"
        if not isinstance(then, dict):
            return None
        given = then["router"] if [*then] == ["router"] else then
        path = f"{path}.router" if given is not then else path
        try:
            return build_router(
                given, f"budget/{self._name}", path, self._base.catalog, self._compilers
            )
        except ConfigError as error:
            self._faults.extend(error.faults)
            return None


def _sorted(found: list[Budget]) -> Budgets | None:
    if not found:
        return None
    return Budgets(
        general=Entries(one for one in found if one.kind in {"global", "subject"}),
        routes=tuple(one for one in found if one.kind == "route"),
        backends=tuple(one for one in found if one.kind == "backend"),
    )
