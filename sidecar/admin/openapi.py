"""The OpenAPI document of the admin address, at `/openapi.json` and, to be tried out, `/docs`."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from sidecar.admin.problems import MEDIA_TYPE
from sidecar.admin.schemas import SCHEMAS, reference

_PREFIX = "/api/v1/"
_DESCRIPTION = """\
Everything that can be edited and seen, over HTTP. Errors are RFC 9457's `application/problem+json`
with `faults`, each with the path of what is wrong. Who replaces or removes a document says by
`If-Match` which one he has read (its `ETag`), or is told 428; when somebody else was first, it is
412 with what is there now. Bodies are JSON or YAML.
"""
_TAGS = {
    "backends": "Models, and where they are served",
    "routes": "Which requests go where, in order",
    "routers": "Named strategies that routes use",
    "flags": "Switches that rules read",
    "experiments": "Arms, shares, rollouts, and what was learned",
    "budgets": "Limits of use",
    "keys": "Who comes with which API key",
    "guards": "Services that say yes or no about a request",
    "tests": "Cases that rules must decide as expected",
    "configuration": "All documents at once, and their history",
    "decisions": "What was decided, why, and what came of it",
    "statistics": "What is going on now",
    "access": "Who the caller is",
    "health": "For orchestrators and Prometheus",
}
_TAG_OF = {
    "explain": "decisions",
    "whatif": "decisions",
    "feedback": "decisions",
    "stats": "statistics",
    "me": "access",
    "public": "backends",
}


def operation_id(route: APIRoute) -> str:
    """Return a name for an operation that has not got one of its own: `get_stats_series`."""
    method = min(route.methods or {"get"}).lower()
    steps = route.path_format.removeprefix(_PREFIX).replace("{", "by_").replace("}", "")
    return "_".join([method, *filter(None, steps.split("/"))])


def describe(app: FastAPI) -> None:
    """Make ``app`` describe itself as a whole: schemas, tags, problems."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title,
        version=app.version,
        summary="Routes LLM traffic through Envoy by rules kept in Redis.",
        description=_DESCRIPTION,
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        tags=[{"name": name, "description": told} for name, told in _TAGS.items()],
        servers=[{"url": "/"}],
    )
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)  # what FastAPI would answer, and nothing here does
    schemas |= SCHEMAS
    for path, operations in found["paths"].items():
        for operation in operations.values():
            operation.setdefault("tags", [_tag(path)])
            for status, response in operation["responses"].items():
                _settle(status, response)
    return found


def _tag(path: str) -> str:
    first = path.removeprefix(_PREFIX).partition("/")[0]
    return _TAG_OF.get(first, first) if path.startswith(_PREFIX) else "health"


def _settle(status: str, response: dict[str, Any]) -> None:
    """Give all problems one and the same schema."""
    content = response.get("content", {})
    if MEDIA_TYPE in content or "HTTPValidationError" in str(content):
        response["content"] = {MEDIA_TYPE: {"schema": reference("Problem")}}
        if status == "422" and response["description"] == "Validation Error":
            response["description"] = "Something is wrong with the path or the query"
