"""Documents over HTTP: `/api/v1/{kind}` and `/api/v1/{kind}/{name}` for each kind.

Names may hold slashes, so whatever follows the kind is the name; `/enable`, `/disable` and the
actions of experiments are POSTs, which documents themselves have not.
"""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Request, Response

from sidecar.admin.access import REFUSALS, Caller, Role, require
from sidecar.admin.bodies import read_json_text
from sidecar.admin.preconditions import (
    Precondition,
    matching,
    no_precondition,
    precondition,
    switches,
)
from sidecar.admin.problems import documented
from sidecar.admin.samples import SAMPLES
from sidecar.admin.schemas import answers, takes
from sidecar.config.differences import value_of
from sidecar.config.document_edits import SWITCHED
from sidecar.config.documents import KINDS, Kind
from sidecar.config.edits import Editor
from sidecar.config.writing import Edited, Options
from sidecar.errors import StoreConflict

MOST_BYTES = 4 * 1024 * 1024
"""Of one document."""
ADMIN_KINDS = frozenset[Kind]({"keys", "guards"})
"""Who a caller is, and where texts of requests are sent: not for every operator."""

Name = Annotated[str, Path(description="The document's name; any of / : @ may be in it")]
Given = Annotated[Precondition, Depends(precondition)]
Switches = Annotated[Options, Depends(switches)]

_WRITTEN = {"version": 12, "name": "premium", "etag": "0066313d7061c8b0", "warnings": []}
_WRITES = documented(400, 404, 412, 422, 503)


def documents_router(editor: Editor) -> APIRouter:
    """Return the endpoints of all kinds."""
    router = APIRouter(prefix="/api/v1", responses=REFUSALS)
    for kind in KINDS:
        endpoints = _Endpoints(editor, kind, "admin" if kind in ADMIN_KINDS else "operator")
        endpoints.add_reads(router)
        endpoints.add_writes(router)
        if kind in SWITCHED:
            endpoints.add_switch(router, enabled=True)
            endpoints.add_switch(router, enabled=False)
    return router


class _Endpoints:
    """The endpoints of one kind; ``role``: who may write."""

    def __init__(self, editor: Editor, kind: Kind, role: Role) -> None:
        self._editor = editor
        self._kind = kind
        self._one = kind.removesuffix("s")
        self._role: Role = role

    def add_reads(self, router: APIRouter) -> None:
        """Add the list, and one document."""
        kind, one, editor = self._kind, self._one, self._editor
        order = ", in the order in which they are tried" if kind == "routes" else ""

        @router.get(
            f"/{kind}",
            operation_id=f"list_{kind}",
            summary=f"All {kind}{order}",
            tags=[kind],
            dependencies=[Depends(require("viewer"))],
            responses=answers("Listing", f"All {kind}") | documented(503),
            response_class=Response,
        )
        async def listed() -> Response:
            found = await editor.listing(kind)
            items = [
                {"name": item.name, "document": value_of(item.text), "etag": item.etag}
                for item in found.items
            ]
            return _json({"version": found.version, "items": items})

        @router.get(
            f"/{kind}/{{name:path}}",
            operation_id=f"get_{one}",
            summary=f"One {one}",
            tags=[kind],
            dependencies=[Depends(require("viewer"))],
            responses=_shown(kind) | documented(404, 422, 503),
            response_class=Response,
        )
        async def read(
            name: Name,
            if_none_match: Annotated[
                str | None, Header(description="The ETag of what you have: 304 if it is that")
            ] = None,
        ) -> Response:
            item = await editor.document(kind, name)
            etag = f'"{item.etag}"'
            if if_none_match == etag:
                return Response(status_code=304, headers={"etag": etag})
            return _json(value_of(item.text), etag=item.etag)

    def add_writes(self, router: APIRouter) -> None:
        """Add PUT and DELETE."""
        kind, one, editor = self._kind, self._one, self._editor
        caller_type = Annotated[Caller, Depends(require(self._role))]

        async def put(
            name: Name, request: Request, caller: Caller, given: Given, options: Switches
        ) -> Response:
            must_be_allowed(caller, options)
            text = await read_json_text(request, MOST_BYTES)
            create = given.etag is None
            try:
                edited = await editor.put(
                    kind, name, text, who=caller.name, etag=given.etag, create=create, **options
                )
            except StoreConflict as error:
                if create and not given.create and error.current is not None:
                    raise no_precondition(f"{kind}.{name}") from None
                raise
            return written(edited, options, name)

        async def delete(name: Name, caller: Caller, given: Given, options: Switches) -> Response:
            must_be_allowed(caller, options)
            if given.etag is None:
                await editor.document(kind, name)
                raise no_precondition(f"{kind}.{name}")
            edited = await editor.remove(kind, name, who=caller.name, etag=given.etag, **options)
            return written(edited, options, name)

        put.__annotations__["caller"] = delete.__annotations__["caller"] = caller_type
        created = answers("Written", f"The {one} is new", _WRITTEN, status=201)
        router.put(
            f"/{kind}/{{name:path}}",
            operation_id=f"put_{one}",
            summary=f"Create or replace one {one}",
            tags=[kind],
            responses=_written() | created | _WRITES | documented(413, 428),
            response_class=Response,
            openapi_extra=takes({"type": "object"}, SAMPLES[kind], "The document"),
        )(put)
        router.delete(
            f"/{kind}/{{name:path}}",
            operation_id=f"delete_{one}",
            summary=f"Remove one {one}",
            tags=[kind],
            responses=_written() | _WRITES | documented(428),
            response_class=Response,
        )(delete)

    def add_switch(self, router: APIRouter, *, enabled: bool) -> None:
        """Add POST …/enable or …/disable. Without If-Match: it changes nothing else."""
        kind, one, editor = self._kind, self._one, self._editor
        word = "enable" if enabled else "disable"
        caller_type = Annotated[Caller, Depends(require(self._role))]

        async def switch(
            name: Name,
            caller: Caller,
            etag: Annotated[str | None, Depends(matching)],
            options: Switches,
        ) -> Response:
            must_be_allowed(caller, options)
            edited = await editor.switch(kind, name, enabled, who=caller.name, etag=etag, **options)
            return written(edited, options, name)

        switch.__annotations__["caller"] = caller_type
        router.post(
            f"/{kind}/{{name:path}}/{word}",
            operation_id=f"{word}_{one}",
            summary=f"{word.capitalize()} one {one}",
            tags=[kind],
            responses=_written() | _WRITES,
            response_class=Response,
        )(switch)


def must_be_allowed(caller: Caller, options: Options) -> None:
    """Raise Refusal (403) when the caller may not force."""
    if options.get("force"):
        caller.must_be("admin")


def written(edited: Edited, options: Options, name: str | None = None) -> Response:
    """Return the answer to an edit: 201 when a document is new."""
    told: dict[str, Any] = {"version": edited.version, "warnings": edited.warnings}
    if name is not None:
        told["name"] = name
    if edited.etag is not None:
        told["etag"] = edited.etag
    if options.get("dry_run"):
        told["changes"] = [change._asdict() for change in edited.changes]
        return _json(told)
    created = name is not None and any(one.before is None for one in edited.changes)
    return _json(told, etag=edited.etag, status=201 if created else 200)


def _json(value: Any, *, etag: str | None = None, status: int = 200) -> Response:
    headers = {} if etag is None else {"etag": f'"{etag}"'}
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def _written() -> dict[int | str, dict[str, Any]]:
    return answers("Written", "Written, or found good in a dry run", _WRITTEN)


def _shown(kind: Kind) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": {}, "example": SAMPLES[kind]}}
    etag = {"description": "For If-Match", "schema": {"type": "string"}}
    return {
        200: {"description": "The document", "headers": {"ETag": etag}, "content": content},
        304: {"description": "If-None-Match has its ETag"},
    }
