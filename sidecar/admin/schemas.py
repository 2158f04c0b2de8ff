"""What the HTTP API's answers look like, for OpenAPI."""

from typing import Any

from sidecar.admin.problems import SCHEMA as PROBLEM

Schema = dict[str, Any]

_INT: Schema = {"type": "integer"}
_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_DOCUMENT: Schema = {"description": "A JSON object; one that is broken in the store is a string"}


def reference(name: str) -> Schema:
    """Return a reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _list_of(name: str) -> Schema:
    return {"type": "array", "items": reference(name)}


_ENTRY = {"version": _INT, "when": _TEXT, "who": _TEXT, "what": _TEXT, "evidence": {}}

SCHEMAS: dict[str, Schema] = {
    "Problem": PROBLEM,
    "Fault": _object("path message", path=_TEXT, message=_TEXT),
    "Change": _object(
        "kind name before after", kind=_TEXT, name=_TEXT, before=_DOCUMENT, after=_DOCUMENT
    ),
    "Changes": _object("changes", changes=_list_of("Change")),
    "Item": _object("name document etag", name=_TEXT, document=_DOCUMENT, etag=_TEXT),
    "Listing": _object("version items", version=_INT, items=_list_of("Item")),
    "Written": _object(
        "version warnings",
        version={**_INT, "description": "The version that is live now"},
        name=_TEXT,
        etag=_TEXT,
        warnings=_TEXTS,
        changes={**_list_of("Change"), "description": "Of a dry run: what would be changed"},
    ),
    "Validation": _object(
        "valid faults failed_tests changes",
        valid={"type": "boolean"},
        faults=_list_of("Fault"),
        failed_tests=_list_of("Fault"),
        changes=_list_of("Change"),
    ),
    "Version": _object("version when who what", **_ENTRY),
    "Versions": _object("versions", versions=_list_of("Version")),
    "VersionWithConfig": _object(
        "version when who what config", **_ENTRY, config=reference("Configuration")
    ),
    "Configuration": {
        "type": "object",
        "description": "For each kind the documents by name",
        "additionalProperties": {"type": "object"},
    },
}


def answers(
    name: str, description: str, example: Any = None, *, status: int = 200
) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says about an answer of one of `SCHEMAS`, for ``responses=``."""
    content: Schema = {"schema": reference(name)}
    if example is not None:
        content["example"] = example
    return {status: {"description": description, "content": {"application/json": content}}}


def takes(schema: Schema, example: Any, description: str, *, required: bool = True) -> Schema:
    """Return what OpenAPI says about a body, JSON or YAML, for ``openapi_extra=``."""
    content = {
        "application/json": {"schema": schema, "example": example},
        "application/yaml": {"schema": schema},
    }
    body = {"required": required, "description": description, "content": content}
    return {"requestBody": body}
