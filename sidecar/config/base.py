"""What routes stand on: backends, flags, guards, stored routers, experiments."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sidecar import choose, match
from sidecar.config.backends import compile_backend, stand_in
from sidecar.config.catalog import Catalog
from sidecar.config.documents import Documents, check_name
from sidecar.config.faults import decode_object
from sidecar.config.guards import compile_guards
from sidecar.config.rules import Flags, compile_flags
from sidecar.config.trials import Trials
from sidecar.errors import ConfigError, Fault
from sidecar.model import (
    Accessor,
    Backend,
    Compilers,
    Guard,
    Policy,
    Predicate,
    Resolver,
    Router,
    Trial,
    guard_finder,
)

FindTrial = Callable[[str, str], Trial]
"""Finds an experiment for a router: by its name, and the router's path for faults."""

DEFAULT_TARGETS = 3
"""Length of the default chain, at most (contract)."""


class Base(NamedTuple):
    """Valid while the texts of all that it is made of stay the same."""

    backend_texts: Mapping[str, bytes]
    router_texts: Mapping[str, bytes]
    guard_texts: Mapping[str, bytes]
    experiment_texts: Mapping[str, bytes]
    flags: Flags
    backends: Mapping[str, Backend]
    guards: Mapping[str, Guard]
    catalog: Catalog
    routers: Mapping[str, Router]
    trials: Mapping[str, Trial]
    find_trial: FindTrial
    default: Router | None
    own_headers: frozenset[str]
    trial_headers: frozenset[str]
    apart: bool
    """No stored router names an experiment: what is not one stays when experiments change."""
    named: dict[str, Router]
    """Routers that wrap a target which routes name; filled while routes are compiled. Bases that
    differ in experiments alone share it."""

    @property
    def headers(self) -> frozenset[str]:
        """The request headers that are read."""
        return self.own_headers | self.trial_headers

    def fits(self, documents: Documents) -> bool:
        """Tell whether these documents would compile to this very base."""
        return documents.experiments == self.experiment_texts and self.stands_for(documents)

    def stands_for(self, documents: Documents) -> bool:
        """Tell whether only the experiments of these documents may be others."""
        return (
            documents.backends == self.backend_texts
            and documents.routers == self.router_texts
            and documents.guards == self.guard_texts
            and documents.flags == self.flags.texts
        )


def compile_base(
    documents: Documents, faults: list[Fault], known: Base | None, policy: Policy
) -> Base:
    """Compile what routes refer to; what is wrong goes to ``faults``.

    ``known``: compiled earlier; what of it still fits is taken over.
    """
    if known is not None and known.apart and known.stands_for(documents):
        return _with_experiments(known, documents, faults, policy)
    fresh = known is None or known.flags.texts != documents.flags
    flags = compile_flags(documents.flags, faults) if known is None or fresh else known.flags
    wrong = len(faults)
    backends = _backends(documents.backends, faults)
    sound = len(faults) == wrong
    guards = compile_guards(documents.guards, faults)
    headers: set[str] = set(flags.headers)
    asked: set[str] = set()

    def find_trial(name: str, path: str) -> Trial:
        asked.add(name)
        return trials.find(name, path)

    def build(name: str, text: bytes, catalog: Catalog) -> Router:
        path = f"routers.{name}"
        return build_router(decode_object(text, path), name, path, catalog, compilers)

    compilers = compilers_for(flags, guards, headers, find_trial)
    catalog = Catalog(backends.values(), documents.routers, build)
    trial_headers: set[str] = set()
    trials = _trials(documents, flags, guards, catalog, trial_headers, policy)
    routers = _routers(documents.routers, catalog, faults)
    return Base(
        backend_texts=documents.backends,
        router_texts=documents.routers,
        guard_texts=documents.guards,
        experiment_texts=documents.experiments,
        flags=flags,
        backends=backends,
        guards=guards,
        catalog=catalog,
        routers=routers,
        trials=trials.compile(faults),
        find_trial=trials.find,
        default=_default(backends, catalog, compilers) if sound else None,
        own_headers=frozenset(headers),
        trial_headers=frozenset(trial_headers),
        apart=not asked,
        named={},
    )


def _with_experiments(
    base: Base, documents: Documents, faults: list[Fault], policy: Policy
) -> Base:
    """Return ``base`` with other experiments: a step of a rollout must not take all anew."""
    headers: set[str] = set()
    trials = _trials(documents, base.flags, base.guards, base.catalog, headers, policy)
    return base._replace(
        experiment_texts=documents.experiments,
        trials=trials.compile(faults),
        find_trial=trials.find,
        trial_headers=frozenset(headers),
    )


def _trials(
    documents: Documents,
    flags: Flags,
    guards: Mapping[str, Guard],
    catalog: Catalog,
    headers: set[str],
    policy: Policy,
) -> Trials:
    """Return the experiments, to be compiled; the headers that they read go to ``headers``."""

    def build(document: Any, name: str, path: str) -> Router:
        return build_router(document, name, path, catalog, compilers)

    def find(name: str, path: str) -> Trial:
        return trials.find(name, path)

    compilers = compilers_for(flags, guards, headers, find)
    trials = Trials(documents.experiments, compilers, build, pins=policy.variant_pins)
    return trials


def build_router(
    document: Any, name: str, path: str, catalog: Catalog, compilers: Compilers
) -> Router:
    """Build a router of the configuration: unknown targets are faults, not warnings."""
    return choose.build_router(
        document, name=name, path=path, catalog=catalog, compilers=compilers, strict=True
    )


def compilers_for(
    flags: Flags, guards: Mapping[str, Guard], headers: set[str], find_trial: FindTrial
) -> Compilers:
    """Return what routers compile with; the request headers that they read go to ``headers``."""

    def accessor(subject: str, path: str) -> Accessor:
        compiled = match.compile_accessor(subject, path, flags=flags.predicates)
        headers.update(match.headers_of(subject))
        return compiled

    def condition(document: Any, path: str, subjects: Resolver) -> Predicate:
        compiled = match.compile_condition(
            document, path, flags=flags.predicates, subjects=subjects
        )
        headers.update(compiled.headers)
        return compiled.matches

    return Compilers(accessor, condition, guard_finder(guards), find_trial)


def _backends(texts: Mapping[str, bytes], faults: list[Fault]) -> dict[str, Backend]:
    backends, wrong = {}, len(faults)
    for name in sorted(texts):
        faults.extend(check_name("backends", name))
        try:
            backends[name] = compile_backend(name, texts[name])
        except ConfigError as error:
            faults.extend(error.faults)
            backends[name] = stand_in(name, texts[name])
    if len(faults) == wrong and not any(backend.enabled for backend in backends.values()):
        faults.append(
            Fault("backends", 'no enabled backend: at least one must have "enabled": true')
        )
    return backends


def _routers(
    texts: Mapping[str, bytes], catalog: Catalog, faults: list[Fault]
) -> dict[str, Router]:
    routers = {}
    for name in sorted(texts):
        faults.extend(check_name("routers", name))
        try:
            router = catalog.router(name)
        except ConfigError as error:
            faults.extend(error.faults)
        else:
            if router is not None:
                routers[name] = router
    return routers


def _default(backends: Mapping[str, Backend], catalog: Catalog, compilers: Compilers) -> Router:
    """Return the chain of the enabled backends by priority, then name."""
    enabled = sorted(
        (backend.priority, name) for name, backend in backends.items() if backend.enabled
    )
    targets = [name for _, name in enabled[:DEFAULT_TARGETS]]
    document = {"type": "fallback", "targets": targets}
    return build_router(document, "default", "backends", catalog, compilers)
