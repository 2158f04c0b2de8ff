"""``POST /api/v1/explain``: why a past request went where it went, or where a new one would go."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from sidecar.admin.access import REFUSALS, require
from sidecar.admin.bodies import read_body
from sidecar.admin.problems import documented, problem
from sidecar.errors import Fault
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


AskUnsaved = Callable[[Question], Awaitable[Reply]]
"""Answers a question about rules that are not saved. Raises ConfigError, StoreError."""


def explain_router(
    ask: Ask, unsaved: AskUnsaved | None = None, *, trusted: bool, max_body_bytes: int
) -> APIRouter:
    """Return the endpoint.

    ``unsaved``: who is asked about rules that are not saved; nobody without it.
    ``trusted``: whoever reaches it may see parts of others' requests, and make guards be asked.
    """
    router = APIRouter(prefix="/api/v1")

    @router.post(
        "/explain",
        operation_id="explain",
        summary="Why a past decision was made, or what would be decided now",
        response_class=Response,
        dependencies=[Depends(require("viewer"))],
        responses=REFUSALS | documented(400, 404, 410, 413, 422, 503),
        openapi_extra=_described(),
    )
    async def explain(request: Request) -> Response:
        text = await read_body(request, 2 * max_body_bytes)
        question = read_question(text)
        if isinstance(question, Problem):
            return _problem(question)
        if (question.id is not None or question.ask_guards) and not trusted:
            return _problem(_FORBIDDEN)
        if question.documents is not None and unsaved is not None:
            reply = await unsaved(question)
        else:
            reply = await ask(question, text)
        if reply.problem is not None:
            return _problem(reply.problem)
        return Response(bytes(reply.explanation), media_type="application/json")

    return router


def _problem(wrong: Problem) -> Response:
    path: dict[str, Any] = {} if wrong.path is None else {"path": wrong.path}
    faults = [Fault(wrong.path, wrong.detail)] if wrong.path else []
    return problem(wrong.status, wrong.title, wrong.detail, faults=faults, **path)


def _described() -> dict[str, Any]:
    """Return what the OpenAPI document says about the question."""
    content = {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}}
    return {
        "requestBody": {
            "required": True,
            "content": content,
            "description": 'Either `{"id": …}` of a past decision, or `request` with the optional '
            "`seed`, `at`, `ask_guards` and `documents` (`{kind: {name: document or null}}`, laid "
            "over the live rules). A `body` that is a string is taken as the text itself.",
        }
    }
