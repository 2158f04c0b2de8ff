"""Experiments over HTTP: what one has shown, and what an operator may do to it."""

import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from sidecar.admin.access import REFUSALS, Caller, require
from sidecar.admin.bodies import read_json_text, value_of_json
from sidecar.admin.documents import Name, Switches, must_be_allowed, written
from sidecar.admin.problems import documented, problem
from sidecar.admin.schemas import answers, takes
from sidecar.config import experiment_edits
from sidecar.config.edits import Editor
from sidecar.config.experiment_edits import Edit
from sidecar.config.faults import nearest
from sidecar.config.redis_client import answering
from sidecar.model import Experiment
from sidecar.report.read import Redis, read_report

_ACTIONS: dict[str, tuple[Edit, str]] = {
    "hold": (experiment_edits.hold, "Climb no further step by itself; guards still roll back"),
    "resume": (
        experiment_edits.resume,
        "Go on after hold, pause or stop; after a stop with a new version and no data",
    ),
    "rollback": (
        experiment_edits.roll_back,
        "Take the candidate's share away and give it to the control",
    ),
    "start": (experiment_edits.start, "Assign requests to arms: state running"),
    "pause": (experiment_edits.pause, "Assign nobody for now, and keep what was learned"),
    "stop": (experiment_edits.stop, "End it: requests go on to the next route"),
}
_WRITTEN = {"version": 14, "name": "checkout-canary", "etag": "93b885adfe0da089", "warnings": []}


class _Promotion(msgspec.Struct, forbid_unknown_fields=True):
    to: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None


def experiments_router(
    redis: Redis, prefix: str, experiments: Callable[[], Mapping[str, Experiment]]
) -> APIRouter:
    """Return the report; ``experiments``: those of the live configuration."""
    router = APIRouter(prefix="/api/v1/experiments", tags=["experiments"])

    @router.get(
        "/{name:path}/report",
        operation_id="get_experiment_report",
        summary="What an experiment has shown: arms, intervals, the split, advice",
        response_class=Response,
        dependencies=[Depends(require("viewer"))],
        responses=REFUSALS | documented(404, 422, 503),
    )
    async def report(name: Name) -> Response:
        live = experiments()
        if name not in live:
            known = nearest(name, sorted(live)) if live else "there is none"
            return problem(404, "Not found", f'unknown experiment "{name[:100]}"; {known}')
        async with answering("the statistics"):
            found = await read_report(redis, prefix, live[name], time.time())
        return Response(msgspec.json.encode(found), media_type="application/json")

    return router


def actions_router(editor: Editor) -> APIRouter:
    """Return what may be done to a running experiment; each is one write, live at once."""
    router = APIRouter(prefix="/api/v1/experiments", responses=REFUSALS, tags=["experiments"])
    for action, (edit, summary) in _ACTIONS.items():
        _add_action(router, editor, action, edit, summary)
    _add_promote(router, editor)
    return router


def _add_action(router: APIRouter, editor: Editor, action: str, edit: Edit, summary: str) -> None:
    @router.post(
        f"/{{name:path}}/{action}",
        operation_id=f"{action}_experiment",
        summary=summary,
        responses=_responses(),
        response_class=Response,
    )
    async def act(
        name: Name, caller: Annotated[Caller, Depends(require("operator"))], options: Switches
    ) -> Response:
        must_be_allowed(caller, options)
        edited = await editor.edit_experiment(name, edit, who=caller.name, **options)
        return written(edited, options, name)


def _add_promote(router: APIRouter, editor: Editor) -> None:
    schema = {
        "type": "object",
        "properties": {"to": {"type": ["number", "null"], "minimum": 0, "maximum": 100}},
        "additionalProperties": False,
    }

    @router.post(
        "/{name:path}/promote",
        operation_id="promote_experiment",
        summary="Give the candidate the next step's share, or another one",
        responses=_responses() | documented(400, 413),
        response_class=Response,
        openapi_extra=takes(
            schema, {"to": 20}, "Share in percent, instead of the next step", required=False
        ),
    )
    async def promote(
        name: Name,
        request: Request,
        caller: Annotated[Caller, Depends(require("operator"))],
        options: Switches,
    ) -> Response:
        must_be_allowed(caller, options)
        text = await read_json_text(request, 1024, empty=b"{}")
        edit = experiment_edits.promoting(value_of_json(text, _Promotion).to)
        edited = await editor.edit_experiment(name, edit, who=caller.name, **options)
        return written(edited, options, name)


def _responses() -> dict[int | str, dict[str, Any]]:
    return answers("Written", "Done", _WRITTEN) | documented(404, 412, 422, 503)
