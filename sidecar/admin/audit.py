"""The audit log: one line for each write through the API, and for each that was refused.

Event `audit`, with who, role, method, path, status, and the version that was written. Never a body,
a token, or what stands behind the question mark, two switches aside.
"""

from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidecar.admin.access import Caller

_SWITCHES = ("force", "dry_run")
_ON = {"true", "1", "yes", "on", "t", "y"}
_MOST_PATH = 300
_log = structlog.get_logger()


class _Written(msgspec.Struct):
    version: int | None = None


class _Answer:
    """What an audit line has of an answer."""

    def __init__(self) -> None:
        self.status = 500  # holds when the endpoint failed before it said anything
        self._body = b""

    def take(self, message: Message) -> None:
        """Look at one part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body" and not self._body:
            self._body = message.get("body", b"")

    @property
    def version(self) -> int | None:
        """The version that was written; writes answer with it."""
        if self.status >= 300:
            return None
        try:
            return msgspec.json.decode(self._body, type=_Written).version
        except (msgspec.DecodeError, UnicodeError):
            return None


class Audit:
    """ASGI middleware around `gate.Gate`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            return await self._app(scope, receive, send)
        state = scope.setdefault("state", {})  # the one that endpoints see as request.state
        answer = _Answer()

        async def watched(message: Message) -> None:
            answer.take(message)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            if state.get("audited") or answer.status in {401, 403}:
                _write(scope, state.get("caller"), answer)
        return None


def _write(scope: Scope, caller: Caller | None, answer: _Answer) -> None:
    line: dict[str, Any] = {
        "who": caller.name if caller else None,
        "role": caller.role if caller else None,
        "address": scope["client"][0] if scope.get("client") else None,
        "method": scope["method"],
        # Encoded again: nothing in a path may look like another line.
        "path": quote(scope["path"], safe="/:@")[:_MOST_PATH],
        "status": answer.status,
        "version": answer.version,
    }
    write = _log.info if answer.status < 400 else _log.warning
    write("audit", **line, **dict.fromkeys(_switches(scope), True))


def _switches(scope: Scope) -> list[str]:
    """Return the names of the switches that the query turns on."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"))
    return [name for name in _SWITCHES if any(k == name and v.lower() in _ON for k, v in pairs)]
