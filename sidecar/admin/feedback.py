"""Feedback over HTTP: `/api/v1/feedback` on the admin address, `/v1/feedback` through Envoy.

Clients reach an application of its own that has nothing else: Envoy sends exactly this path there.
"""

import math
from collections.abc import Callable, Container
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from fastapi import APIRouter, Depends, FastAPI, Request, Response

from sidecar.admin.access import REFUSALS, require
from sidecar.admin.problems import documented, problem
from sidecar.admin.rate_limit import RateLimit
from sidecar.errors import Fault
from sidecar.facts import api_key_of
from sidecar.telemetry.feedback import MOST_BYTES, Accepted, Feedback, Rejection

CLIENT_HEADER = "x-pointsman-client"
"""Set by Envoy alone: the client's address. What a client sends under this name is removed."""

MOST_WAITING = 200
"""Requests that are worked on at once; more are told to come back."""

_EXAMPLE = {
    "decision": "0198f0a1b2c3d4e5f60718293a4b",
    "metric": "thumbs",
    "value": True,
    "source": "user",
}
_TYPES = {429: "rate_limit_error", 503: "server_error"}
_log = structlog.get_logger()

Caller = Callable[[Request, Container[str]], str]


class Desk:
    """Takes feedback of both addresses, as much as the limits allow.

    ``keys``: names of the API keys that are configured.
    """

    def __init__(
        self, feedback: Feedback, per_second: float, keys: Callable[[], Container[str]]
    ) -> None:
        self._feedback = feedback
        self._limit = RateLimit(per_second)
        self._keys = keys
        self._waiting = 0

    async def take(self, request: Request, caller: Caller) -> Accepted:
        """Take feedback. Raises Rejection."""
        seconds = self._limit.wait(caller(request, self._keys()))
        if seconds > 0:
            raise _Later(429, "rate_limited", "Too much feedback at once.", seconds)
        if self._waiting >= MOST_WAITING:
            raise _Later(503, "overloaded", "Too much feedback is waiting.", 1.0)
        self._waiting += 1
        try:
            return await self._feedback.take(await _read(request))
        except Rejection:
            raise
        except Exception as error:  # noqa: BLE001
            # Whatever a client of Redis raises; its text is for the log.
            _log.warning("feedback_failed", why=repr(error))
            raise _Later(503, "store_unreachable", "The store does not answer.", 1.0) from None
        finally:
            self._waiting -= 1


class _Later(Rejection):
    """To be sent again after ``seconds``."""

    def __init__(self, status: int, code: str, message: str, seconds: float) -> None:
        super().__init__(status, code, message)
        self.seconds = seconds


def feedback_router(desk: Desk) -> APIRouter:
    """Return the endpoint of the admin address; errors are RFC 9457's."""
    router = APIRouter(prefix="/api/v1")

    @router.post(
        "/feedback",
        operation_id="give_feedback",
        summary="Say how good the answer to a past request was",
        response_class=Response,
        # Graders send thousands; what they said is in the store and counted in the metrics.
        dependencies=[Depends(require("operator", audit=False))],
        responses=REFUSALS | documented(400, 404, 413, 422, 503),
        openapi_extra=_described(),
    )
    async def feedback(request: Request) -> Response:
        try:
            accepted = await desk.take(request, peer)
        except Rejection as error:
            return _problem(error)
        arms = {one.experiment: one.arm for one in accepted.assignments}
        return _taken(accepted, arms=arms)

    return router


def clients_app(desk: Desk) -> FastAPI:
    """Return the application that clients reach through Envoy; errors are OpenAI's."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/v1/feedback", response_class=Response)
    async def feedback(request: Request) -> Response:
        try:
            # In what arm they are is none of the clients' business.
            return _taken(await desk.take(request, client))
        except Rejection as error:
            return Response(
                _openai_error(error), error.status, _again(error), media_type="application/json"
            )

    return app


def peer(request: Request, _keys: Container[str] = ()) -> str:
    """Return whom the admin address counts as one caller."""
    return f"admin {request.client.host}" if request.client else "admin"


def client(request: Request, keys: Container[str]) -> str:
    """Return whom Envoy's listener counts as one caller: a configured API key, else the address.

    A key that is not among ``keys`` would be another caller each time that a client makes it up.
    """
    key = api_key_of(request.headers)
    return key if key and key in keys else request.headers.get(CLIENT_HEADER, "")


def _taken(accepted: Accepted, **more: Any) -> Response:
    told = {
        "decision": accepted.decision,
        "metric": accepted.metric,
        "value": accepted.value,
        "replaced": accepted.before,
    }
    return Response(msgspec.json.encode(told | more), media_type="application/json")


def _again(error: Rejection) -> dict[str, str]:
    seconds = error.seconds if isinstance(error, _Later) else None
    return {"retry-after": str(math.ceil(seconds))} if seconds else {}


async def _read(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise Rejection(413, "body_too_large", f"Feedback has at most {MOST_BYTES} bytes.")
    return body


def _problem(error: Rejection) -> Response:
    path: dict[str, Any] = {"path": error.param} if error.param else {}
    return problem(
        error.status,
        HTTPStatus(error.status).phrase,
        error.message,
        faults=[Fault(error.param, error.message)] if error.param else [],
        headers=_again(error),
        code=error.code,
        **path,
    )


def _openai_error(error: Rejection) -> bytes:
    kind = _TYPES.get(error.status, "invalid_request_error")
    told = {"message": error.message, "type": kind, "param": error.param, "code": error.code}
    return msgspec.json.encode({"error": told})


def _described() -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["decision", "metric", "value"],
        "properties": {
            "decision": {"type": "string", "description": "x-pointsman-decision of the answer"},
            "metric": {"type": "string"},
            "value": {"oneOf": [{"type": "number"}, {"type": "boolean"}]},
            "source": {"type": "string", "default": "user"},
            "comment": {"type": "string", "description": "is not stored"},
        },
    }
    content = {"application/json": {"schema": schema, "example": _EXAMPLE}}
    return {"requestBody": {"required": True, "content": content}}
