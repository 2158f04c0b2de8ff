"""``POST /api/v1/explain``: why a past request went where it went, or where a new one would go."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from sidecar.admin.access import REFUSALS, require
from sidecar.wire.explainer import Problem, Question, Reply, read_question

Ask = Callable[[Question, bytes], Awaitable[Reply]]
"""Asks the workers of this node; the bytes are the question as it came."""

_EXAMPLE = {
    "request": {
        "path": "/v1/chat/completions",
        "headers": {"x-user-tier": "premium"},
        "body": {"model": "any", "messages": [{"role": "user", "content": "Hello"}]},
    },
    "seed": 7,
    "at": "2026-01-05T12:00:00Z",
}
_FORBIDDEN = Problem(
    403,
    "Not from here",
    "An explanation by id shows parts of others' requests, and ask_guards sends requests. The "
    "admin address is not loopback, so both are off; POINTSMAN_EXPLAIN_API=allow turns them on.",
)


def explain_router(ask: Ask, *, trusted: bool, max_body_bytes: int) -> APIRouter:
    """Return the endpoint.

    ``trusted``: whoever reaches it may see parts of others' requests, and make guards be asked.
    """
    router = APIRouter(prefix="/api/v1")

    @router.post(
        "/explain",
        summary="Why a past decision was made, or what would be decided now",
        response_class=Response,
        dependencies=[Depends(require("viewer"))],
        responses=REFUSALS,
        openapi_extra=_described(),
    )
    async def explain(request: Request) -> Response:
        text = await _read(request, 2 * max_body_bytes)
        question = read_question(text) if text is not None else _too_large(2 * max_body_bytes)
        if isinstance(question, Problem):
            return _problem(question)
        if (question.id is not None or question.ask_guards) and not trusted:
            return _problem(_FORBIDDEN)
        reply = await ask(question, text or b"")
        if reply.problem is not None:
            return _problem(reply.problem)
        return Response(bytes(reply.explanation), media_type="application/json")

    return router


async def _read(request: Request, most: int) -> bytes | None:
    """Return the body, or ``None`` when it is longer than ``most`` bytes."""
    parts: list[bytes] = []
    left = most
    async for part in request.stream():
        left -= len(part)
        if left < 0:
            return None
        parts.append(part)
    return b"".join(parts)


def _too_large(most: int) -> Problem:
    return Problem(413, "Too large", f"A question has at most {most} bytes.")


def _problem(problem: Problem) -> Response:
    return Response(
        msgspec.json.encode(problem), problem.status, media_type="application/problem+json"
    )


def _described() -> dict[str, Any]:
    """Return what the OpenAPI document says about the question."""
    content = {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}}
    return {
        "requestBody": {
            "required": True,
            "content": content,
            "description": 'Either `{"id": …}` of a past decision, or `request` with the optional '
            "`seed`, `at` and `ask_guards`. A `body` that is a string is taken as the text itself.",
        }
    }
