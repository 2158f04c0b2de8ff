"""``POST /api/v1/whatif``: what another configuration would have done with past requests."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from sidecar.admin.access import REFUSALS, require
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
        summary="What another configuration would have done with past requests",
        response_class=Response,
        dependencies=[Depends(require("viewer"))],
        responses=REFUSALS,
        openapi_extra=_described(),
    )
    async def whatif(request: Request) -> Response:
        text = await _read(request)
        if text is None:
            return _problem(Problem(413, "Too large", f"At most {MOST_BYTES} bytes."), [])
        reply = await ask(text)
        if reply.problem is not None:
            return _problem(reply.problem, reply.faults)
        return Response(bytes(reply.answer), media_type="application/json")

    return router


async def _read(request: Request) -> bytes | None:
    parts: list[bytes] = []
    left = MOST_BYTES
    async for part in request.stream():
        left -= len(part)
        if left < 0:
            return None
        parts.append(part)
    return b"".join(parts)


def _problem(problem: Problem, faults: list[Fault]) -> Response:
    body = msgspec.to_builtins(problem)
    if faults:
        body["faults"] = [fault._asdict() for fault in faults]
    return Response(
        msgspec.json.encode(body), problem.status, media_type="application/problem+json"
    )


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
