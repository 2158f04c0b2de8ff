"""The subjects below ``metrics.``: what a backend did lately, over all nodes."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, get_args

from sidecar.errors import ConfigError, Fault
from sidecar.model import MISSING, Accessor, BackendStats, Context, Window, WindowStats

_METRICS = {
    "requests": "requests",
    "errors": "errors",
    "error_rate": "error_rate",
    "latency_ms": "latency_ms",
    "ttft_ms": "ttft_ms",
    "tokens_per_second": "tokens_per_second",
    "in_flight": "in_flight",
    "latency": "latency_ms",
    "ttft": "ttft_ms",
    "tps": "tokens_per_second",
}
_WINDOWS: Mapping[str, Window] = {window: window for window in get_args(Window)}
_NO_STATS = BackendStats()
_NO_WINDOW = WindowStats()


def compile_metric(text: str, path: str) -> Accessor:
    """Compile ``<backend>[.<window>].<metric>``, read from the right: backend names have dots.

    Without samples counts are 0, while means and rates are missing. Raises ConfigError.
    """
    backend, _, name = text.rpartition(".")
    head, _, last = backend.rpartition(".")
    window = _WINDOWS.get(last) if head else None
    if window is not None:
        backend = head
    metric = _METRICS.get(name)
    if metric is None or not backend:
        legal = f"legal: {' '.join(_METRICS)}, behind a backend and maybe {' '.join(_WINDOWS)}"
        raise ConfigError([Fault(path, f'"{text}" is no metric of a backend; {legal}')])
    return _read(backend, window or "1m", metric)


def _read(backend: str, window: Window, metric: str) -> Accessor:
    if metric == "in_flight":
        return lambda context: context.stats.backends.get(backend, _NO_STATS).in_flight
    read = attrgetter(metric)

    def accessor(context: Context) -> Any:
        stats = context.stats.backends.get(backend, _NO_STATS)
        value = read(stats.windows.get(window, _NO_WINDOW))
        return MISSING if value is None else value

    return accessor
