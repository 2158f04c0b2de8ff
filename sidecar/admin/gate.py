"""The door of the admin address: who calls is known before anything of the request is read."""

import ipaddress
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sidecar.admin.access import LOCAL, Caller, Refusal

PUBLIC = frozenset({"/api/v1/public/backends"})
"""Below `/api/`, all that needs no token."""

_BODIES = ("application/json", "application/yaml", "application/x-yaml", "text/yaml")
_FOREIGN_HOST = (
    "There are no tokens here (POINTSMAN_TOKENS_FILE), so only requests to 127.0.0.1 or localhost "
    "are served."
)
_FOREIGN_PAGE = (
    "There are no tokens here (POINTSMAN_TOKENS_FILE), so pages of other origins are not served."
)
_CONTENT_TYPE = "A body here is JSON or YAML: content-type: application/json or application/yaml."


class Access(Protocol):
    """Decides who a caller is."""

    def caller(self, scope: Scope, headers: Headers) -> Caller:
        """Return who calls. Raises Refusal."""
        ...

    def report(self) -> dict[str, Any]:
        """Return for `/readyz` how callers are known, and what is wrong with that."""
        ...


class LoopbackAccess:
    """Everybody on this machine may do everything, but no web page that he looks at.

    A page of the outside reaches loopback in two ways. By a name of its own that resolves to
    127.0.0.1 (DNS rebinding): then `Host` is that name. By a request to 127.0.0.1 itself: then
    the browser sends the page's `Origin` along.
    """

    def caller(self, scope: Scope, headers: Headers) -> Caller:
        """Return `local`. Raises Refusal (403) for what a page elsewhere may have sent."""
        del scope
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not is_loopback(_name(hosts[0])):
            raise Refusal(403, "Forbidden", _FOREIGN_HOST)
        for origin in headers.getlist("origin"):
            if origin.partition("://")[2].lower() != hosts[0].lower():
                raise Refusal(403, "Forbidden", _FOREIGN_PAGE)
        return LOCAL

    def report(self) -> dict[str, Any]:
        """Return for `/readyz` how callers are known."""
        return {"by": "loopback", "fault": None}


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine's own name or address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """Return ``host`` without its port; nothing when it is not a host."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


class Gate:
    """ASGI middleware: lets nothing below `/api/` through without a caller.

    Bodies have a content type that no form of a web page can send.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return None  # nothing here speaks WebSocket
        if scope["path"].startswith("/api/"):
            try:
                self._admit(scope)
            except Refusal as refusal:
                return await refusal.response()(scope, receive, send)
        return await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if scope["path"] not in PUBLIC:
            scope.setdefault("state", {})["caller"] = self._access.caller(scope, headers)
        if _has_body(headers) and not _is_document(headers):
            raise Refusal(415, "Unsupported media type", _CONTENT_TYPE)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_document(headers: Headers) -> bool:
    kinds = headers.getlist("content-type")
    return len(kinds) == 1 and kinds[0].partition(";")[0].strip().lower() in _BODIES
