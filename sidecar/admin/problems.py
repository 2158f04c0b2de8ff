"""Errors of the HTTP API as RFC 9457's problem+json: the one place that makes them.

``{"type", "title", "status", "detail", "faults": [{"path", "message"}], …}``. No text of an
exception that somebody else raised gets into one: that is for the log.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from sidecar.errors import (
    ConfigError,
    Fault,
    PointsmanError,
    StoreConflict,
    StoreError,
    StoreUnreachable,
    UnknownDocument,
)

MEDIA_TYPE = "application/problem+json"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail", "faults"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable, for programs"},
        "faults": {
            "type": "array",
            "description": "All that is wrong, each with its place",
            "items": {
                "type": "object",
                "required": ["path", "message"],
                "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "current": {"description": "412: the document that is there"},
        "difference": {
            "type": "array",
            "description": "412: from what is there to what was sent",
            "items": {
                "type": "object",
                "required": ["path", "before", "after"],
                "properties": {"path": {"type": "string"}, "before": {}, "after": {}},
            },
        },
    },
}
_SAID: dict[int, str] = {
    400: "The body is not what its content type says; a fault has line and column",
    404: "There is no such thing; the detail names what there is",
    409: "The store holds something that cannot be shown so",
    410: "It was not kept",
    412: "Somebody else changed it meanwhile: `current` and `difference` say what",
    413: "The body is too large",
    422: "Something is wrong with what was sent: `faults` has each with its path",
    428: "It exists: say by If-Match which one you have read",
    503: "The store, or a worker, does not answer; a write is not confirmed",
}
_NO_ANSWER = "The store does not answer."
_REFUSES = "The store refuses; the log says why."
_log = structlog.get_logger()


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says about problems with these statuses, for ``responses=``."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _SAID[status], "content": content} for status in statuses}


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    faults: Iterable[Fault] = (),
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """Return a problem; ``more``: members of its own, JSON values."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "faults": [{"path": fault.path, "message": fault.message} for fault in faults],
    }
    return Response(msgspec.json.encode(body | more), status, dict(headers or {}), MEDIA_TYPE)


def problem_of(error: PointsmanError) -> Response:
    """Return the problem that an error of this project is."""
    code = error.code
    match error:
        case ConfigError():
            detail = f"{error.faults[0]}" + _and_more(len(error.faults) - 1)
            return problem(422, "Invalid configuration", detail, faults=error.faults, code=code)
        case UnknownDocument():
            return problem(404, "Not found", f"{error}.", code=code)
        case StoreConflict():
            difference = [change._asdict() for change in error.changes]
            told = {"current": error.current, "difference": difference}
            return problem(412, "Changed by somebody else", f"{error}.", code=code, **told)
        case StoreError():
            _log.warning("store_failed", error=str(error))
            detail = _NO_ANSWER if isinstance(error, StoreUnreachable) else _REFUSES
            return problem(
                503, "Store unreachable", detail, headers={"retry-after": "1"}, code=code
            )
    _log.error("request_failed", error=str(error))
    return problem(500, "Failed", "This failed; the log says why.", code=code)


def install(app: FastAPI) -> None:
    """Make every error that reaches ``app`` a problem."""
    app.add_exception_handler(PointsmanError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _failed)


async def _ours(_request: Request, error: Exception) -> Response:
    if not isinstance(error, PointsmanError):
        raise error
    return problem_of(error)


async def _invalid(_request: Request, error: Exception) -> Response:
    """Answer what FastAPI found wrong with a path or a query; what was sent is not repeated."""
    if not isinstance(error, RequestValidationError):
        raise error
    faults = [Fault(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors()]
    return problem(422, "Invalid request", str(faults[0]), faults=faults)


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    title = HTTPStatus(error.status_code).phrase
    return problem(error.status_code, title, f"{error.detail}.", headers=error.headers)


async def _failed(_request: Request, _error: Exception) -> Response:
    return problem(500, "Failed", "This failed; the log says why.", code="internal")


def _and_more(count: int) -> str:
    return f" (and {count} more)" if count else ""
