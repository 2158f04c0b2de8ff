"""``POST /api/v1/whatif``: what another configuration would have done with past requests."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from sidecar.admin.access import REFUSALS, require
from sidecar.admin.bodies import read_body
from sidecar.admin.problems import documented, problem
from sidecar.errors import Fault
from sidecar.wire.explainer import Problem

MOST_BYTES = 64 * 1024 * 1024
"""Of a question: a configuration."""

_EXAMPLE = {"config": {"backends": {}, "routes": {}}, "since": 86400, "metric": "success"}


class Reply(Protocol):
    """What the question was answered with."""

    answer: msgspec.Raw
    problem: Problem | None
    faults: list[Fault]


Ask = Callable[[bytes], Awaitable[Reply]]


def whatif_router(ask: Ask) -> APIRouter:
    """Return the endpoint; ``ask`` bounds how much is computed."""
    router = APIRouter(prefix="/api/v1")

    @router.post(
        "/whatif",
        operation_id="what_if",
        summary="What another configuration would have done with past requests",
        response_class=Response,
        dependencies=[Depends(require("viewer"))],
        responses=REFUSALS | documented(400, 413, 422, 503),
        openapi_extra=_described(),
    )
    async def whatif(request: Request) -> Response:
        reply = await ask(await read_body(request, MOST_BYTES))
        if (wrong := reply.problem) is not None:
            return problem(wrong.status, wrong.title, wrong.detail, faults=reply.faults)
        return Response(bytes(reply.answer), media_type="application/json")

    return router


def _described() -> dict[str, Any]:
    """Return what the OpenAPI document says about the question."""
    content = {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}}
    return {
        "requestBody": {
            "required": True,
            "content": content,
            "description": "`config`: documents as `apply` takes them. Optional: `since` (seconds, "
            "86400), `limit` (the newest requests, 10000), `metric` (what to estimate).",
        }
    }
