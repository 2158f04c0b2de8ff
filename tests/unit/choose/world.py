"""A small shop of backends and stored routers, and requests and chance to order with."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sidecar import facts, match
from sidecar.choose import build_router
from sidecar.errors import ConfigError, Fault
from sidecar.model import (
    Backend,
    BackendStats,
    Compilers,
    Context,
    Entropy,
    Guard,
    Leaf,
    Plan,
    Predicate,
    Resolver,
    Router,
    Stats,
    WindowStats,
    guard_finder,
)

BACKENDS = {
    name: Backend(name=name, provider=provider, model=model, priority=priority, enabled=enabled)
    for name, provider, model, priority, enabled in [
        ("gpt", "openai", "gpt-4o", 100, True),
        ("gpt-azure", "azure", "gpt-4o", 10, True),
        ("mini", "openai", "gpt-4o-mini", 100, True),
        ("turbo", "openai", "gpt-3.5-turbo", 50, True),
        ("deep", "deepseek", "deepseek-chat", 100, True),
        ("gemini", "gemini", "gemini-2.0-flash-exp", 100, True),
        ("custom", "custom-model", "advanced-ai", 100, True),
        ("off", "openai", "retired", 1, False),
    ]
}

STORED = {
    "cheap": {"type": "fallback", "targets": ["mini", {"model": "deep", "temperature": 0.1}]},
    "fast": {"type": "latency", "targets": ["gpt", "mini"]},
    "first-only": {"type": "fallback", "targets": ["turbo", "deep"], "on_error": "fail"},
}


class Shop:
    """A catalog over BACKENDS and the given router documents, which it builds when asked."""

    def __init__(self, stored: Mapping[str, Any] = STORED) -> None:
        self._stored = stored
        self._built: dict[str, Router] = {}
        self._open: list[str] = []

    def leaf(self, name: str, parameters: Mapping[str, Any]) -> Leaf | None:
        found = [backend for backend in BACKENDS.values() if _called(backend, name)]
        return Leaf(name, tuple(found), parameters) if found else None

    def router(self, name: str) -> Router | None:
        if name not in self._stored or name in self._built:
            return self._built.get(name)
        if name in self._open:
            raise ConfigError([Fault(f"routers.{name}", "contains itself")])
        self._open.append(name)
        try:
            document, path = self._stored[name], f"routers.{name}"
            self._built[name] = build(document, shop=self, name=name, path=path)
        finally:
            self._open.remove(name)
        return self._built[name]

    def backends(self) -> list[Backend]:
        return sorted(BACKENDS.values(), key=lambda one: (one.priority, one.name))

    def known(self) -> list[str]:
        return sorted([*BACKENDS, *(f"router/{name}" for name in self._stored)])


def _called(backend: Backend, name: str) -> bool:
    provider, _, model = name.partition("/")
    return name in {backend.name, backend.model} or (
        backend.provider == provider and model in {"*", backend.model}
    )


GUARDS = {name: Guard(name, f"http://127.0.0.1/{name}") for name in ("tox", "pii")}


class Dealt(Entropy):
    """Entropy with chosen uniforms; drawing more of them than were dealt is an error."""

    def __init__(self, uniforms: Iterable[float]) -> None:
        super().__init__(0)
        self.left = list(uniforms)

    def uniform(self) -> float:
        return self.left.pop(0)


def build(
    document: Any,
    *,
    shop: Shop | None = None,
    name: str = "test",
    path: str = "router",
    strict: bool = True,
) -> Router:
    def condition(document: Any, path: str, subjects: Resolver) -> Predicate:
        return match.compile_condition(
            document, path, subjects=subjects, untrusted=not strict
        ).matches

    compilers = Compilers(match.compile_accessor, condition, guard_finder(GUARDS))
    return build_router(
        document,
        name=name,
        path=path,
        catalog=shop or Shop(),
        compilers=compilers,
        strict=strict,
    )


def context(
    uniforms: Iterable[float] | int = (),
    *,
    stats: Mapping[str, Any] | None = None,
    unready: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
    body: bytes = b'{"model":"router/dynamic"}',
) -> Context:
    """A request with ``headers`` and ``body``; an integer for ``uniforms`` is a seed."""
    backends = {
        name: BackendStats(windows=msgspec.convert(windows, dict[str, WindowStats]))
        for name, windows in (stats or {}).items()
    }
    entropy = Entropy(uniforms) if isinstance(uniforms, int) else Dealt(uniforms)
    view = Stats(backends=backends, unready=frozenset(unready))
    request = facts.read("/v1/chat/completions", headers or {}, body)
    return Context(request, view, entropy, 1_800_000_000.0)


def shown(plan: Plan | None) -> dict[str, Any] | None:
    """A plan as the case tables write it."""
    if plan is None:
        return None
    return {
        "attempts": [
            {attempt.backend.name: dict(attempt.parameters)}
            if attempt.parameters
            else attempt.backend.name
            for attempt in plan.attempts
        ],
        "probability": round(plan.probability, 12),
        "strategy": plan.strategy,
    }


def faults(document: Any, *, shop: Shop | None = None, strict: bool = True) -> list[str]:
    """What building ``document`` complains about."""
    try:
        build(document, shop=shop, strict=strict)
    except ConfigError as error:
        return [str(fault) for fault in error.faults]
    return []
