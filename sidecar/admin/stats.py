"""``GET /api/v1/stats``: the last minute; ``GET /api/v1/stats/series``: the last hour in steps."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Protocol

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from sidecar.admin.access import REFUSALS, require
from sidecar.admin.problems import documented
from sidecar.model import Backend, Snapshot
from sidecar.telemetry.series import STEP_SECONDS, STEPS, Minute, Quantiles, TrafficSeries
from sidecar.telemetry.windows import Sums, Totals

MINUTE = 60
FRESH_SECONDS = 0.5
"""How long an answer is given again: a hundred consoles ask no more often than two."""
MOST_BACKENDS = 100
"""That a series lists when none is asked for by name."""
_MOST_NAMES = 1000
_KEPT = 16

_NO_MINUTE = Minute(Quantiles(None, None), Quantiles(None, None))


class Health(Protocol):
    """What this node's Envoy says of a backend; ``reason``: why it is not healthy."""

    @property
    def healthy(self) -> bool:
        """As `pointsman_backend_healthy` has it."""

    @property
    def reason(self) -> str:
        """For people."""


class StatsSources(NamedTuple):
    """Where the figures come from. All are asked at each answer, and must not block."""

    node: str
    snapshot: Callable[[], Snapshot | None]
    totals: Callable[[], Totals]
    """Of all nodes."""
    in_flight: Callable[[], Mapping[str, int]]
    """Of all nodes, by backend."""
    health: Callable[[], Mapping[str, Health]]
    envoy_answers: Callable[[], bool]
    store_up: Callable[[], bool]
    readiness: Callable[[], tuple[bool, dict[str, Any]]]
    series: TrafficSeries


def stats_router(sources: StatsSources, clock: Callable[[], float] = time.monotonic) -> APIRouter:
    """Return the endpoints. ``clock`` says how old an answer is that was kept."""
    router = APIRouter(
        prefix="/api/v1/stats",
        dependencies=[Depends(require("viewer"))],
        responses=REFUSALS | documented(422),
    )
    begun = time.monotonic()
    minute, hour = _Kept(clock), _Kept(clock)

    @router.get("", summary="What each backend did in the last minute", response_class=Response)
    async def stats() -> Response:
        return minute.answer((), lambda: _stats(sources, time.monotonic() - begun))

    @router.get(
        "/series",
        summary="What each backend did in the last hour, on this node",
        response_class=Response,
    )
    async def series(
        minutes: Annotated[int, Query(ge=1, le=STEPS * STEP_SECONDS // MINUTE)] = 60,
        backend: Annotated[list[str] | None, Query(max_length=_MOST_NAMES)] = None,
    ) -> Response:
        names = tuple(backend or ())
        # Only steps that are over are told, so the answer is the same until the next one is.
        asked = (sources.series.step(), minutes, names)
        return hour.answer(asked, lambda: _series(sources.series, minutes, names), STEP_SECONDS)

    return router


class _Kept:
    """The last answers, by what was asked."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[object, tuple[float, bytes]] = {}

    def answer(
        self, asked: object, make: Callable[[], object], seconds: float = FRESH_SECONDS
    ) -> Response:
        """Return what ``make`` returns as JSON, or what it returned a moment ago."""
        now = self._clock()
        at, body = self._kept.get(asked, (0.0, b""))
        if not body or now - at >= seconds:
            body = msgspec.json.encode(make())
            if len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[asked] = (now, body)
        return Response(body, media_type="application/json", headers={"cache-control": "no-store"})


def _series(series: TrafficSeries, minutes: int, names: Sequence[str]) -> dict[str, Any]:
    most = _MOST_NAMES if names else MOST_BACKENDS
    found = series.columns(minutes * MINUTE // STEP_SECONDS, most, names)
    return {"step_seconds": STEP_SECONDS, **found._asdict()}


def _stats(sources: StatsSources, uptime: float) -> dict[str, Any]:
    snapshot = sources.snapshot()
    backends = {} if snapshot is None else snapshot.backends
    totals, busy = sources.totals(), sources.in_flight()
    sums = {name: totals.get(name, {}).get("1m", Sums()) for name in backends}
    whole = sum(sums.values(), Sums())
    minutes = sources.series.minute()
    states = sources.health()
    ready, report = sources.readiness()
    return {
        "node": sources.node,
        "version": None if snapshot is None else snapshot.version,
        "uptime_seconds": round(uptime, 1),
        "store_up": sources.store_up(),
        "ready": ready,
        "readyz": report,
        "backends": {
            name: _state(backend, states.get(name), sources.envoy_answers())
            | {"in_flight": busy.get(name, 0), "share": _ratio(sums[name].requests, whole.requests)}
            | _figures(sums[name], minutes.get(name, _NO_MINUTE))
            for name, backend in backends.items()
        },
        "totals": {"in_flight": sum(busy.get(name, 0) for name in backends)}
        | _figures(whole, sources.series.all_backends()),
    }


def _state(backend: Backend, health: Health | None, envoy_answers: bool) -> dict[str, Any]:
    """Return whether a backend takes traffic; ``None`` when nobody can tell."""
    healthy, reason = None, "Envoy has not taken it yet"
    if health is not None:
        healthy, reason = health.healthy, health.reason
    elif not backend.enabled:
        reason = "disabled"
    elif not envoy_answers:
        reason = "Envoy does not answer"
    return {
        "enabled": backend.enabled,
        "healthy": healthy,
        "reason": None if healthy else reason,
        "model": backend.model,
        "provider": backend.provider,
    }


def _figures(sums: Sums, minute: Minute) -> dict[str, Any]:
    tokens = sums.input_tokens + sums.output_tokens
    return {
        "requests": sums.requests,
        "errors": sums.errors,
        "requests_per_second": round(sums.requests / MINUTE, 3),
        "error_rate": _ratio(sums.errors, sums.requests),
        "ttft_ms": minute.ttft_ms._asdict(),
        "latency_ms": minute.latency_ms._asdict(),
        "input_tokens": sums.input_tokens,
        "output_tokens": sums.output_tokens,
        "tokens_per_second": round(tokens / MINUTE, 3),
        "cost_usd_per_hour": round(sums.cost_nano_usd / 1e9 * MINUTE, 6),
    }


def _ratio(part: int, whole: int) -> float | None:
    """Return the part of a whole; ``None`` of nothing."""
    return round(part / whole, 6) if whole else None
