"""``GET /api/v1/public/backends``: what services may know of the backends, without a token."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import APIRouter, Response

from sidecar.admin.access import Refusal
from sidecar.model import Backend, Price, Snapshot


class PublicBackend(msgspec.Struct):
    """A backend without its endpoints and credentials. ``healthy``: ``None`` when not known yet."""

    name: str
    model: str
    provider: str
    enabled: bool
    healthy: bool | None
    capabilities: list[str] | None
    max_context_size: int | None
    price: Price
    """In US dollars per token, as of now."""
    region: str | None
    description: str


def public_router(
    snapshot: Callable[[], Snapshot | None], healthy: Callable[[], dict[str, bool]]
) -> APIRouter:
    """Return the endpoint; ``healthy``: what Envoy thinks of the backends that it has."""
    router = APIRouter(prefix="/api/v1/public")

    @router.get(
        "/backends",
        summary="The backends, for services: no token is needed, and nothing secret is told",
        response_class=Response,
        responses={503: {"description": "There are no rules yet"}},
    )
    async def backends() -> Response:
        live = snapshot()
        if live is None:
            return Refusal(503, "No rules", "There are no rules yet.").response()
        health = healthy()
        rows = [_public(one, health.get(name)) for name, one in sorted(live.backends.items())]
        body: dict[str, Any] = {"version": live.version, "backends": rows}
        return Response(msgspec.json.encode(body), media_type="application/json")

    return router


def _public(backend: Backend, healthy: bool | None) -> PublicBackend:
    return PublicBackend(
        name=backend.name,
        model=backend.model,
        provider=backend.provider,
        enabled=backend.enabled,
        healthy=healthy,
        capabilities=None if backend.capabilities is None else sorted(backend.capabilities),
        max_context_size=backend.max_context_size,
        price=backend.price_at(time.time()),
        region=backend.region,
        description=backend.description,
    )
