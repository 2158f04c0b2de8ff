"""One JSON object as bytes → its top-level members, and where each of them is."""

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from sidecar.errors import InvalidJson
from sidecar.facts.relaxed import relax
from sidecar.model import Span

_LARGEST = sys.float_info.max
_MOST_MEMBERS = 1_000
"""More top-level keys than any API has; each takes a microsecond that other requests wait for."""
_LONGEST_PASTED = 256 * 1024

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_value = msgspec.json.Decoder().decode

# Possessive throughout: it runs only over JSON that was found valid, so that it need not go back,
# and a key of a million escapes would cost a plain `*` a hundred megabytes of backtracking state.
_member = re.compile(
    rb'[ \t\r\n]*+[{,][ \t\r\n]*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"[ \t\r\n]*+:[ \t\r\n]*+'
).match

_OPENINGS = (
    (b"\xef\xbb\xbf", "starts with a byte order mark; send JSON without one"),
    (b"\x1f\x8b", "is compressed with gzip; send it as it is"),
)


def members(body: bytes) -> tuple[dict[str, msgspec.Raw], dict[str, Span]]:
    """Return the raw values and the spans of the object's members, both in the body's order.

    Checks the syntax of the whole body, deep values included, and that it is UTF-8. Raises
    `InvalidJson`, also when a top-level key occurs twice: an upstream might take the one value
    and this process the other. Deeper duplicates stand, the last one counts. At most
    `_MOST_MEMBERS` top-level keys. The `router` may be relaxed JSON.
    """
    if not body.isascii():
        _check_utf8(body)
    try:
        fields = _decode_members(body)
    except msgspec.ValidationError as error:
        raise _refusal(body, f"must be a JSON object: {error}") from None
    except msgspec.DecodeError as error:
        pasted = _pasted_router(body)
        if pasted is not None:
            return pasted
        raise _refusal(body, _syntax_fault(body, str(error))) from None
    except RecursionError:
        raise _refusal(body, "is nested too deeply") from None
    if len(fields) > _MOST_MEMBERS:
        raise _refusal(body, f"has more than {_MOST_MEMBERS} keys at its top level")
    return fields, _spans(body, fields)


def _pasted_router(body: bytes) -> tuple[dict[str, msgspec.Raw], dict[str, Span]] | None:
    """Read a body whose `router` is JSON only when relaxed, as in LangDB's guide.

    The router is taken out before the body goes on; anywhere else an upstream would get it.
    """
    if b'"router"' not in body or len(body) > _LONGEST_PASTED:
        return None
    relaxed = relax(body)
    try:
        fields = _decode_members(relaxed)
    except (msgspec.DecodeError, RecursionError):
        return None
    spans = _spans(relaxed, fields)
    router = spans.get("router")
    if router is None or len(fields) > _MOST_MEMBERS:
        return None
    _, start, end = router
    same = relaxed[:start] == body[:start] and relaxed[end:] == body[end:]
    return (fields, spans) if same else None


def decode(raw: msgspec.Raw, name: str) -> Any:
    """Return the JSON value of the member ``name``.

    Numbers beyond a double read as the largest double, so that they still compare and encode.
    Raises `InvalidJson` when the nesting is too deep for the stack that is left here.
    """
    try:
        try:
            return _decode_value(raw)
        except msgspec.ValidationError:
            return json.loads(bytes(raw), parse_int=_bounded_int, parse_float=_bounded_float)
    except RecursionError:
        raise InvalidJson(f"{name!r} is nested too deeply", param=name) from None


def _spans(body: bytes, fields: Mapping[str, msgspec.Raw]) -> dict[str, Span]:
    """Walk the members; each must be the next that the decoder saw, or else a key occurs twice.

    The decoder keeps a duplicate at its first place with its last value, so by induction the first
    key or value that is not the expected one proves a duplicate.
    """
    spans: dict[str, Span] = {}
    view = memoryview(body)
    make = tuple.__new__  # Span(…) itself takes half as long again, for every member
    key = ""
    end = 0
    for name, raw in fields.items():
        found = _member(body, end)
        if found is None:
            raise _duplicate(key)
        key = found[1].decode()
        if key != name and _unescape(key) != name:
            raise _duplicate(key)
        start = found.end()
        end = start + len(raw)
        if raw != msgspec.Raw(view[start:end]):  # neither side is copied
            raise _duplicate(key)
        spans[name] = make(Span, (found.start(1) - 1, start, end))
    if fields and body[end:].strip() != b"}":
        found = _member(body, end)
        raise _duplicate(found[1].decode() if found else key)
    return spans


def _unescape(key: str) -> str:
    return msgspec.json.decode(f'"{key}"', type=str)


def _duplicate(escaped: str) -> InvalidJson:
    key = _unescape(escaped)
    shown = key if len(key) <= 64 else f"{key[:64]}…"
    return InvalidJson(f"The body has the key {shown!r} twice", param=shown)


def _check_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        fault = f"is not UTF-8: {error.reason} (byte {error.start})"
        raise _refusal(body, fault) from None


def _refusal(body: bytes, fault: str) -> InvalidJson:
    for opening, reason in _OPENINGS:
        if body.startswith(opening):
            return InvalidJson(f"The body {reason}")
    return InvalidJson(f"The body {fault}")


def _syntax_fault(body: bytes, fault: str) -> str:
    if not body.strip():
        return "is empty; it must be a JSON object"
    truncated = fault.endswith("truncated")
    if truncated:
        fault = f"it ends too early (byte {len(body)})"
    if "hex escape" in fault or (truncated and b"\\u" in body[-12:]):
        fault += ", or an escaped surrogate stands alone"
    return f"is not valid JSON: {fault.removeprefix('JSON is malformed: ')}"


def _bounded_int(digits: str) -> int | float:
    # Python refuses to convert some thousands of digits, by design; a double holds 309.
    return int(digits) if len(digits) <= 300 else _bounded_float(digits)


def _bounded_float(digits: str) -> float:
    return min(max(float(digits), -_LARGEST), _LARGEST)
