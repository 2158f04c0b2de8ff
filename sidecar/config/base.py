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
    headers: frozenset[str]
    named: dict[str, Router]
    """Routers that wrap a target which routes name; filled while routes are compiled."""

    def fits(self, documents: Documents) -> bool:
        """Tell whether these documents would compile to this very base."""
        return (
            documents.backends == self.backend_texts
            and documents.routers == self.router_texts
            and documents.guards == self.guard_texts
            and documents.experiments == self.experiment_texts
            and documents.flags == self.flags.texts
        )


def compile_base(
    documents: Documents, faults: list[Fault], known: Flags | None, policy: Policy
) -> Base:
    """Compile what routes refer to; what is wrong goes to ``faults``.

    ``known``: flags compiled earlier, taken over when their texts are the same.
    """
    fresh = known is None or known.texts != documents.flags
    flags = compile_flags(documents.flags, faults) if known is None or fresh else known
    wrong = len(faults)
    backends = _backends(documents.backends, faults)
    sound = len(faults) == wrong
    guards = compile_guards(documents.guards, faults)
    headers: set[str] = set(flags.headers)

    def build(name: str, text: bytes, catalog: Catalog) -> Router:
        path = f"routers.{name}"
        return build_router(decode_object(text, path), name, path, catalog, compilers)

    def build_arm(document: Any, name: str, path: str) -> Router:
        return build_router(document, name, path, catalog, compilers)

    catalog = Catalog(backends.values(), documents.routers, build)
    trials = Trials(documents.experiments, lambda: compilers, build_arm, pins=policy.variant_pins)
    compilers = compilers_for(flags, guards, headers, trials.find)
    return Base(
        backend_texts=documents.backends,
        router_texts=documents.routers,
        guard_texts=documents.guards,
        experiment_texts=documents.experiments,
        flags=flags,
        backends=backends,
        guards=guards,
        catalog=catalog,
        routers=_routers(documents.routers, catalog, faults),
        trials=trials.compile(faults),
        find_trial=trials.find,
        default=_default(backends, catalog, compilers) if sound else None,
        headers=frozenset(headers),
        named={},
    )


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
