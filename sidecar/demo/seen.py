"""Requests as a simulated model received them, for tests that check what an upstream saw."""

import base64
from collections.abc import MutableMapping
from typing import Any, Self

import msgspec

KEPT_REQUESTS = 100


class Seen(msgspec.Struct, frozen=True):
    """One request: path with query, headers in order with names in lower case, body."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: str
    """As text; bytes that are not UTF-8 as ``\\xNN``."""
    body_base64: str

    @classmethod
    def of(cls, scope: MutableMapping[str, Any], body: bytes) -> Self:
        """Return the request of an ASGI scope."""
        query = scope["query_string"]
        return cls(
            scope["method"],
            (scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1"),
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
            body.decode("utf-8", "backslashreplace"),
            base64.b64encode(body).decode(),
        )

    @property
    def raw(self) -> bytes:
        """The body, byte for byte."""
        return base64.b64decode(self.body_base64)

    def json(self) -> Any:
        """Return the body's JSON value. Raises msgspec.DecodeError."""
        return msgspec.json.decode(self.raw)

    def header(self, name: str) -> str | None:
        """Return the value of a header (name in lower case), joined by commas if repeated."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None
