"""The whole configuration over HTTP: read, replaced, checked, its history, and the way back."""

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from sidecar.admin.access import REFUSALS, Caller, require
from sidecar.admin.bodies import YAML, read_json_text, value_of_json
from sidecar.admin.documents import must_be_allowed, written
from sidecar.admin.preconditions import matching, no_precondition, switches
from sidecar.admin.problems import documented
from sidecar.admin.schemas import answers, reference, takes
from sidecar.config import files
from sidecar.config.differences import DocumentChange
from sidecar.config.documents import Documents
from sidecar.config.edits import Editor
from sidecar.config.redis_store import Change
from sidecar.config.writing import Options
from sidecar.errors import ConfigError

MOST_BYTES = 64 * 1024 * 1024
"""Of a whole configuration."""
_MOST_VERSIONS = 200
_LAST = 2**53

VersionNumber = Annotated[int, Path(ge=1, lt=_LAST)]
Etag = Annotated[str | None, Depends(matching)]
Switches = Annotated[Options, Depends(switches)]

_EXAMPLE = {
    "backends": {"small": {"endpoints": ["http://10.0.0.7:8000"]}},
    "routes": {"all": {"router": "small"}},
}
_WRITTEN = {"version": 13, "warnings": []}
_CONFIGURATION = reference("Configuration")


class _Rollback(msgspec.Struct, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=1, lt=_LAST)]


def config_router(editor: Editor) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter(prefix="/api/v1/config", responses=REFUSALS, tags=["configuration"])
    _add_whole(router, editor)
    _add_validate(router, editor)
    _add_history(router, editor)
    _add_rollback(router, editor)
    return router


def _add_whole(router: APIRouter, editor: Editor) -> None:
    content = {kind: {"schema": _CONFIGURATION} for kind in ("application/json", YAML)}
    etag = {"description": "For If-Match", "schema": {"type": "string"}}
    shown: dict[str, Any] = {
        "description": "All documents",
        "headers": {"ETag": etag},
        "content": content,
    }

    @router.get(
        "",
        operation_id="get_config",
        summary="The whole configuration, JSON or (Accept: application/yaml) YAML",
        dependencies=[Depends(require("viewer"))],
        responses=documented(503) | {200: shown},
        response_class=Response,
    )
    async def get(request: Request) -> Response:
        whole = await editor.whole()
        yaml = "yaml" in request.headers.get("accept", "")
        text = await asyncio.to_thread(_text, whole.documents, yaml=yaml)
        headers = {"etag": f'"{whole.etag}"', "vary": "accept"}
        return Response(text, headers=headers, media_type=YAML if yaml else "application/json")

    @router.put(
        "",
        operation_id="put_config",
        summary="Replace the whole configuration",
        responses=answers("Written", "Written, or found good in a dry run", _WRITTEN)
        | documented(400, 412, 413, 422, 428, 503),
        response_class=Response,
        openapi_extra=takes(_CONFIGURATION, _EXAMPLE, "All documents; what is not here is removed"),
    )
    async def put(
        request: Request,
        caller: Annotated[Caller, Depends(require("admin"))],
        etag: Etag,
        options: Switches,
    ) -> Response:
        if etag is None:
            raise no_precondition("The configuration")
        documents = await _read(request)
        what = "replace the configuration"
        edited = await editor.replace(documents, who=caller.name, what=what, etag=etag, **options)
        return written(edited, options)


def _add_validate(router: APIRouter, editor: Editor) -> None:
    @router.post(
        "/validate",
        operation_id="validate_config",
        summary="What is wrong with documents, and what they would change; nothing is written",
        dependencies=[Depends(require("viewer"))],
        responses=answers("Validation", "What was found") | documented(400, 413, 422, 503),
        response_class=Response,
        openapi_extra=takes(
            {"type": "object"}, _EXAMPLE, "A configuration; to be merged: `null` removes a document"
        ),
    )
    async def validate(
        request: Request,
        merge: Annotated[
            bool, Query(description="Lay the documents over those that are live")
        ] = False,
    ) -> Response:
        try:
            documents = await _read(request)
        except ConfigError as error:
            return _json(_validation(error.faults, (), []))
        found = await editor.validate(documents, merge=merge)
        return _json(_validation(found.faults, found.failed_tests, found.changes))


def _add_history(router: APIRouter, editor: Editor) -> None:
    reads = [Depends(require("viewer"))]

    @router.get(
        "/versions",
        operation_id="list_versions",
        summary="Who changed what, and when; newest first",
        dependencies=reads,
        responses=answers("Versions", "Versions of the history") | documented(422, 503),
        response_class=Response,
    )
    async def versions(
        count: Annotated[int, Query(ge=1, le=_MOST_VERSIONS)] = 20,
        before: Annotated[int | None, Query(ge=1, lt=_LAST, description="Older than this")] = None,
    ) -> Response:
        found = await editor.history(count, before)
        return _json({"versions": [_version(one) for one in found]})

    @router.get(
        "/versions/{v}",
        operation_id="get_version",
        summary="One version, with the whole configuration as it was",
        dependencies=reads,
        responses=answers("VersionWithConfig", "The version") | documented(404, 422, 503),
        response_class=Response,
    )
    async def version(v: VersionNumber) -> Response:
        entry, documents = await editor.version(v)
        config = await asyncio.to_thread(_text, documents)
        return _json(_version(entry) | {"config": msgspec.Raw(config)})

    @router.get(
        "/versions/{v}/changes",
        operation_id="get_version_changes",
        summary="What a version changed, or what is different from it to another one",
        dependencies=reads,
        responses=answers("Changes", "Documents before and after") | documented(404, 422, 503),
        response_class=Response,
    )
    async def changes(
        v: VersionNumber,
        to: Annotated[int | None, Query(ge=1, lt=_LAST, description="From `v` to this one")] = None,
    ) -> Response:
        found = await editor.version_changes(v, to)
        return _json({"changes": [*map(_change, found)]})


def _add_rollback(router: APIRouter, editor: Editor) -> None:
    schema = {
        "type": "object",
        "required": ["version"],
        "properties": {"version": {"type": "integer", "minimum": 1}},
        "additionalProperties": False,
    }

    @router.post(
        "/rollback",
        operation_id="rollback_config",
        summary="Make the documents of an earlier version live again, as a new version",
        responses=answers("Written", "Written, or found good in a dry run", _WRITTEN)
        | documented(400, 404, 412, 413, 422, 503),
        response_class=Response,
        openapi_extra=takes(schema, {"version": 11}, "The version of the history"),
    )
    async def rollback(
        request: Request,
        caller: Annotated[Caller, Depends(require("operator"))],
        options: Switches,
    ) -> Response:
        must_be_allowed(caller, options)
        asked = value_of_json(await read_json_text(request, 1024), _Rollback)
        edited = await editor.rollback(asked.version, who=caller.name, **options)
        return written(edited, options)


async def _read(request: Request) -> Documents:
    text = await read_json_text(request, MOST_BYTES)
    return await asyncio.to_thread(Documents.parse, text)


def _text(documents: Documents, *, yaml: bool = False) -> bytes:
    return files.to_yaml(documents) if yaml else documents.to_json(kept=documents)


def _validation(faults: Any, failed: Any, changes: list[DocumentChange]) -> dict[str, Any]:
    return {
        "valid": not faults and not failed,
        "faults": [fault._asdict() for fault in faults],
        "failed_tests": [fault._asdict() for fault in failed],
        "changes": [*map(_change, changes)],
    }


def _version(entry: Change) -> dict[str, Any]:
    told = entry._asdict()
    if entry.evidence is None:
        del told["evidence"]
    return told


def _change(change: DocumentChange) -> dict[str, Any]:
    return change._asdict()


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
