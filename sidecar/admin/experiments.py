"""``GET /api/v1/experiments/{name}/report``: what an experiment has shown, for whoever shows it."""

import time
from collections.abc import Callable, Mapping

import msgspec
from fastapi import APIRouter, Depends, Response

from sidecar.admin.access import REFUSALS, require
from sidecar.config.faults import nearest
from sidecar.config.redis_client import answering
from sidecar.errors import StoreError
from sidecar.model import Experiment
from sidecar.report.read import Redis, read_report


def experiments_router(
    redis: Redis, prefix: str, experiments: Callable[[], Mapping[str, Experiment]]
) -> APIRouter:
    """Return the endpoint; ``experiments``: those of the live configuration."""
    router = APIRouter(prefix="/api/v1/experiments")

    @router.get(
        "/{name}/report",
        summary="What an experiment has shown: arms, intervals, the split, advice",
        response_class=Response,
        dependencies=[Depends(require("viewer"))],
        responses=REFUSALS,
    )
    async def report(name: str) -> Response:
        live = experiments()
        if name not in live:
            known = nearest(name, sorted(live)) if live else "there is none"
            return _problem(404, "Not found", f'unknown experiment "{name[:100]}"; {known}')
        try:
            async with answering("the statistics"):
                found = await read_report(redis, prefix, live[name], time.time())
        except StoreError:
            return _problem(503, "Store unreachable", "The store does not answer.")
        return Response(msgspec.json.encode(found), media_type="application/json")

    return router


def _problem(status: int, title: str, detail: str) -> Response:
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(msgspec.json.encode(problem), status, media_type="application/problem+json")
