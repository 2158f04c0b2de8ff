"""Bodies of requests: read within a limit, JSON or YAML, with the place of what is wrong."""

import asyncio
import re
from typing import Any

import msgspec
from fastapi import Request

from sidecar.admin.access import Refusal
from sidecar.config.yaml_text import read_yaml
from sidecar.errors import ConfigError, Fault
from sidecar.facts import relax

_BYTE = re.compile(r"\(byte (\d+)\)")
_YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
YAML = "application/yaml"


async def read_body(request: Request, most: int) -> bytes:
    """Return the body. Raises Refusal (413) when it is longer than ``most`` bytes."""
    parts: list[bytes] = []
    left = most
    async for part in request.stream():
        left -= len(part)
        if left < 0:
            raise Refusal(413, "Too large", f"A body here has at most {most} bytes.")
        parts.append(part)
    return b"".join(parts)


async def read_json_text(request: Request, most: int, *, empty: bytes = b"") -> bytes:
    """Return a body as JSON text, which is what came, or made of the YAML that came.

    ``empty``: what is meant by no body at all.

    Raises Refusal: 400 with the place when it is neither, 413 when it is too long.
    """
    text = await read_body(request, most) or empty
    return await asyncio.to_thread(_json_text, text, is_yaml(request))


def is_yaml(request: Request) -> bool:
    """Return whether the body is YAML, by its content type."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() in _YAML


def _json_text(text: bytes, yaml: bool) -> bytes:
    if yaml:
        try:
            return msgspec.json.encode(read_yaml(text))
        except ConfigError as error:
            detail = str(error.faults[0])
            raise Refusal(400, "Not YAML", detail, faults=error.faults) from None
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        text = relax(text)  # as people paste it: offsets stay what they were
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        message = f"{_place(text, str(error))}{error}"
        fault = Fault("$", message)
        raise Refusal(400, "Not JSON", message, faults=[fault]) from None
    return text


def value_of_json(text: bytes, kind: Any) -> Any:
    """Return JSON text as ``kind``. Raises Refusal (422) with the path of what is wrong."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        path = where.strip("`") or "$"
        faults = [Fault(path, what)]
        raise Refusal(422, "Invalid request", f"{path}: {what}", faults=faults) from None


def _place(text: bytes, message: str) -> str:
    """Return the line and the column that msgspec's message is about."""
    found = _BYTE.search(message)
    before = text[: int(found[1])] if found else text
    line, last = before.count(b"\n") + 1, before.rpartition(b"\n")[2]
    return f"line {line}, column {len(last) + 1}: "
