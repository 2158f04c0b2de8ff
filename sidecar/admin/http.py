"""The admin address: metrics for Prometheus, health for orchestrators, readiness for operators."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.types import ASGIApp

from sidecar import __version__
from sidecar.admin import openapi, problems
from sidecar.admin.access import Refusal, me_router
from sidecar.admin.api_page import api_page_router
from sidecar.admin.audit import Audit
from sidecar.admin.gate import Access, Gate, LoopbackAccess
from sidecar.admin.security_headers import SecurityHeaders

Render = Callable[[str], tuple[bytes, str]]
"""Accept header → body and content type of /metrics."""
Readiness = Callable[[], tuple[bool, dict[str, Any]]]
"""Returns whether rules are live, and a report of the store, the rules and Envoy's resources."""


class _AdminApp(FastAPI):
    def build_middleware_stack(self) -> ASGIApp:
        """Put headers also on what the outermost layer answers when an endpoint fails."""
        return SecurityHeaders(super().build_middleware_stack())


def admin_app(
    render: Render, readiness: Readiness, *routers: APIRouter, access: Access | None = None
) -> FastAPI:
    """Return the HTTP application of the control process; ``routers`` bring the rest of it.

    ``access``: who callers are; by default everybody on this machine.
    """
    app = _AdminApp(
        title="Pointsman",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=openapi.operation_id,
    )
    access = access or LoopbackAccess()
    app.add_middleware(Gate, access=access)
    app.add_middleware(Audit)
    app.add_exception_handler(Refusal, _refuse)
    problems.install(app)
    openapi.describe(app)

    @app.get("/metrics", summary="Prometheus metrics", response_class=Response)
    def metrics(request: Request) -> Response:
        body, content_type = render(request.headers.get("accept", ""))
        return Response(body, media_type=content_type)

    @app.get("/healthz", summary="Whether this process runs")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether rules are live, and what is wrong if they are not")
    def readyz(response: Response) -> dict[str, Any]:
        ready, report = readiness()
        response.status_code = 200 if ready else 503
        return report | {"access": access.report()}

    for router in (api_page_router(app.openapi), me_router(), *routers):
        app.include_router(router)
    return app


async def _refuse(_request: Request, refusal: Exception) -> Response:
    if not isinstance(refusal, Refusal):
        raise refusal
    return refusal.response()
