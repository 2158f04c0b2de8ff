"""What a script is told of models, in LangDB's shapes, as JSON; and what it may call them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sidecar.model import (
    Backend,
    BackendStats,
    Candidate,
    Leaf,
    Price,
    Router,
    Window,
    WindowStats,
)

WINDOWS: Mapping[str, Window] = {
    "total": "total",
    "last_15_minutes": "15m",
    "last_hour": "1h",
    "last_minute": "1m",
}
"""LangDB's names of windows, and one of our own."""

_NO_SAMPLES = WindowStats()

Seat = tuple[int, str | None]
"""A candidate: the place of its target, and its backend unless the target is a router."""


class Facts:
    """The backends of one router, as its script sees them."""

    __slots__ = ("_fixed", "_metrics", "_metrics_of", "_models", "_models_of", "_shown", "names")

    def __init__(self, targets: Sequence[Leaf | Router]) -> None:
        backends = {one.name: one for target in targets for one in _enabled(target)}
        meanings = _meanings(backends.values())
        self.names = _names(targets, meanings)
        """What a script can return → the candidates that it means, best first."""
        self._shown = {name: _shown(one, meanings) for name, one in backends.items()}
        self._fixed = {
            name: self._model(one, one.price)
            for name, one in backends.items()
            if not one.price_periods
        }
        self._metrics = _Metrics([(one, self._shown[one.name]) for one in backends.values()])
        self._models_of: Sequence[Candidate] = ()
        self._models = "[]"

    def models(self, candidates: Sequence[Candidate], now: float) -> str:
        """Return `models` as JSON: those of ``candidates`` that are no routers, each once."""
        if candidates is self._models_of:
            return self._models
        backends = {one.name: one for each in candidates if (one := seat_backend(each))}
        listed = [self._fixed.get(name) or self._priced(one, now) for name, one in backends.items()]
        text = f"[{','.join(listed)}]"
        # A tuple is the router's own and stays as it is, while nobody is out.
        if isinstance(candidates, tuple) and backends.keys() <= self._fixed.keys():
            self._models_of, self._models = candidates, text
        return text

    def metrics(self, backends: Mapping[str, BackendStats]) -> str:
        """Return `metrics` as JSON; the text is kept as long as these statistics live."""
        return self._metrics.of(backends)

    def _priced(self, backend: Backend, now: float) -> str:
        return self._model(backend, backend.price_at(now))

    def _model(self, backend: Backend, price: Price) -> str:
        return _dumped(_model(backend, self._shown[backend.name], price))


class _Metrics:
    """`metrics` as JSON, kept for the statistics that it was made of."""

    __slots__ = ("_backends", "_kept")

    def __init__(self, backends: Sequence[tuple[Backend, str]]) -> None:
        self._backends = backends
        self._kept: tuple[Mapping[str, BackendStats] | None, str] = (None, "")

    def of(self, stats: Mapping[str, BackendStats]) -> str:
        of, text = self._kept
        if of is not stats:
            text = _dumped(_metrics(self._backends, stats))
            self._kept = (stats, text)
        return text


def seat(candidate: Candidate) -> Seat:
    """Return how `Facts.names` refers to ``candidate``."""
    backend = seat_backend(candidate)
    return candidate.place, None if backend is None else backend.name


def seat_backend(candidate: Candidate) -> Backend | None:
    """Return the backend of a candidate, unless that is a router."""
    return None if candidate.plan.strategy else candidate.plan.attempts[0].backend


class _Meanings(NamedTuple):
    """A name → backends, the more particular kind of name first."""

    kinds: tuple[dict[str, list[str]], ...]

    def of(self, name: str) -> list[str]:
        return next((kind[name] for kind in self.kinds if name in kind), [])


def _meanings(backends: Iterable[Backend]) -> _Meanings:
    """Return what names of targets mean among ``backends``; as in the catalog."""
    kinds: tuple[dict[str, list[str]], ...] = ({}, {}, {}, {}, {})
    for one in sorted(backends, key=lambda one: (one.priority, one.name)):
        called = (
            one.name,
            f"{one.provider}/{one.model}",
            f"{one.provider}/{one.name}",
            f"{one.provider}/*",
            one.model,
        )
        for kind, name in zip(kinds, called, strict=True):
            kind.setdefault(name, []).append(one.name)
    return _Meanings(kinds)


def _names(targets: Sequence[Leaf | Router], meanings: _Meanings) -> Mapping[str, Sequence[Seat]]:
    seats: dict[str, list[Seat]] = {}
    for place, target in enumerate(targets):
        for one in _enabled(target):
            seats.setdefault(one.name, []).append((place, one.name))
    every = {name for kind in meanings.kinds for name in kind}
    names = {
        name: [seat for backend in meanings.of(name) for seat in seats[backend]] for name in every
    }
    for place, target in enumerate(targets):
        if isinstance(target, Router):
            names.setdefault(f"router/{target.name}", []).append((place, None))
    return names


def _shown(backend: Backend, meanings: _Meanings) -> str:
    """Return the shortest name that means this backend alone, so that a script can return it."""
    for name in (backend.model, f"{backend.provider}/{backend.model}"):
        if meanings.of(name) == [backend.name]:
            return name
    return backend.name


def _enabled(target: Leaf | Router) -> Iterable[Backend]:
    if isinstance(target, Router):
        return ()
    return (backend for backend in target.backends if backend.enabled)


def _model(backend: Backend, shown: str, price: Price) -> dict[str, Any]:
    capabilities = sorted(backend.capabilities or ())
    formats = ["text", "image"] if "vision" in capabilities else ["text"]
    return {
        "model": shown,
        "name": backend.name,
        "model_provider": backend.provider,
        "inference_provider": {
            "provider": backend.provider,
            "model_name": backend.model,
            "endpoint": None,
        },
        "price": {
            "per_input_token": price.per_input_token,
            "per_output_token": price.per_output_token,
            "per_cached_input_token": price.per_cached_input_token,
            "per_cached_input_write_token": None,
            "valid_from": None,
        },
        "input_formats": formats,
        "output_formats": ["text"],
        "capabilities": capabilities,
        "type": "completions",
        "limits": {"max_context_size": backend.max_context_size},
        "description": backend.description,
        "parameters": dict(backend.defaults),
        "region": backend.region,
        "tags": dict(backend.tags),
        "is_private": False,
    }


def _metrics(
    backends: Sequence[tuple[Backend, str]], stats: Mapping[str, BackendStats]
) -> dict[str, Any]:
    """Return provider → models → metrics; a model is found by what `models` calls it."""
    found: dict[str, Any] = {}
    for backend, shown in backends:
        windows = stats[backend.name].windows if backend.name in stats else {}
        metrics = {
            name: _window(windows.get(window, _NO_SAMPLES)) for name, window in WINDOWS.items()
        }
        provider = found.setdefault(backend.provider, {"models": {}})
        provider["models"][shown] = {"metrics": metrics}
    return found


def _window(window: WindowStats) -> dict[str, Any]:
    return {
        "requests": window.requests,
        "input_tokens": window.input_tokens,
        "output_tokens": window.output_tokens,
        "total_tokens": window.input_tokens + window.output_tokens,
        "latency": window.latency_ms,
        "ttft": window.ttft_ms,
        "llm_usage": None,
        "tps": window.tokens_per_second,
        "error_rate": window.error_rate,
    }


def _dumped(value: Any) -> str:
    # ASCII, because half of a surrogate pair could not be handed over.
    return json.dumps(value, separators=(",", ":"))
