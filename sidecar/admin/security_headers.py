"""Headers of every answer of the admin address: browsers do no more than they must."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
_PAGE = "frame-ancestors 'none'"
_DATA = "default-src 'none'; frame-ancestors 'none'"


class SecurityHeaders:
    """ASGI middleware. What an endpoint sets itself stays, the policy of the console among it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        is_data = scope["path"].startswith("/api/")

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(MutableHeaders(scope=message), is_data=is_data)
            await send(message)

        return await self._app(scope, receive, sent)


def _add(headers: MutableHeaders, *, is_data: bool) -> None:
    for name, value in _ALWAYS.items():
        headers.setdefault(name, value)
    headers.setdefault("content-security-policy", _DATA if is_data else _PAGE)
    if is_data:
        headers.setdefault("cache-control", "no-store")
