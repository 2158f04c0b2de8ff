"""Guards: asked over HTTP about one request, in a limited time, whatever they do."""

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import httpx
import msgspec
import structlog

from sidecar.model import CONTROL_FIELDS, Guard, Hook, InferenceRequest, Pending

MOST_BYTES = 64 * 1024
MOST_AT_ONCE = 64
"""Of an answer, and of questions to one guard; who waits for his turn waits in his own time."""

MOST_FAILURES = 5
REST_SECONDS = 1.0
"""After so many failures in a row a guard is left alone for a while, but for one question."""

QUIET_SECONDS = 10.0
"""How often the log is told of one guard's failures."""

SECRET_SECONDS = 1.0
"""How long a credential is kept before it is looked up again, for it may be rotated."""

_HEADERS = {
    "content-type": "application/json",
    "accept": "application/json",
    # A small answer must not become a large one.
    "accept-encoding": "identity",
    "user-agent": "pointsman",
}
_STALE = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
"""What asking over a kept connection gives when the guard is just closing it."""

_log = structlog.get_logger()


class _Wrong(Exception):
    """The answer is none; the message says why, in words of this project."""


class Guards:
    """The guards of a worker: one HTTP client, and what is known of each guard's health.

    Needs a running loop only when it asks. ``ca_file``: authorities to trust, else the system's.
    """

    def __init__(
        self,
        *,
        ca_file: str | None = None,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = httpx.AsyncClient(
            headers=_HEADERS,
            verify=_trust(ca_file),
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # noqa: S113 - each question has its own, over all its parts
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=MOST_AT_ONCE),
        )
        self._environ = environ
        self._clock = clock
        self._lines: dict[str, _Line] = {}

    def verdict(self, hook: Hook) -> NoReturn:
        """Raise Pending: nothing is known before it is asked, and nothing is kept afterwards."""
        raise Pending(hook)

    async def ask(self, hook: Hook, request: InferenceRequest) -> Mapping[str, Any]:
        """Return the guard's answer: an object with a boolean ``passed``. Never raises.

        Without one within the guard's time: ``passed`` as its `on_error` says, and ``error``:
        "timeout", "unreachable" (also when it is not asked, because it failed of late), "invalid".
        """
        guard = hook.guard
        line = self._line(guard)
        if not line.open(self._clock()):
            return _silence(guard, "unreachable")
        try:
            async with asyncio.timeout(guard.timeout_seconds), line.turn:
                answer = await self._answer(hook, request, line)
        except TimeoutError:
            failure, why = "timeout", f"no answer within {guard.timeout_seconds:g} s"
        except httpx.TransportError as error:
            failure, why = "unreachable", type(error).__name__
        except _Wrong as error:
            failure, why = "invalid", str(error)
        except Exception as error:  # noqa: BLE001 - whatever a guard sends, requests go on
            failure, why = "invalid", type(error).__name__
        else:
            line.failures = 0
            return answer
        line.fail(self._clock(), failure, why)
        return _silence(guard, failure)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _line(self, guard: Guard) -> "_Line":
        """Return what is known of the guard; of one that was edited nothing is."""
        line = self._lines.get(guard.name)
        if line is None or line.guard != guard:
            line = self._lines[guard.name] = _Line(guard)
        return line

    async def _answer(
        self, hook: Hook, request: InferenceRequest, line: "_Line"
    ) -> Mapping[str, Any]:
        content = question(hook, request)
        headers = line.credential(self._environ, self._clock())
        try:
            text = await self._post(hook.guard.url, content, headers)
        except _STALE:
            text = await self._post(hook.guard.url, content, headers)
        try:
            answer = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            raise _Wrong("the answer is not JSON") from None
        if not isinstance(answer, dict) or not isinstance(answer.get("passed"), bool):
            raise _Wrong("the answer has no boolean `passed`")
        return answer

    async def _post(self, url: str, content: bytes, headers: Mapping[str, str]) -> bytes:
        text = bytearray()
        async with self._client.stream("POST", url, content=content, headers=headers) as response:
            if not response.is_success:
                raise _Wrong(f"status {response.status_code}")
            async for chunk in response.aiter_raw():
                text += chunk
                if len(text) > MOST_BYTES:
                    raise _Wrong(f"the answer is over {MOST_BYTES} bytes")
        return bytes(text)


class _Line:
    """One guard: its queue, its failures in a row, its credential."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.turn = asyncio.Semaphore(MOST_AT_ONCE)
        self.failures = 0
        self._rests_until = 0.0
        self._quiet_until = 0.0
        self._untold = 0
        self._credential: dict[str, str] = {}
        self._credential_until = 0.0

    def open(self, now: float) -> bool:
        """Tell whether the guard may be asked now. Of one that failed, one question finds out."""
        if self.failures < MOST_FAILURES:
            return True
        if now < self._rests_until:
            return False
        self._rests_until = now + REST_SECONDS
        return True

    def fail(self, now: float, failure: str, why: str) -> None:
        """Count a failure, and tell the log, but not of each."""
        self.failures += 1
        self._untold += 1
        if self.failures == MOST_FAILURES:
            self._rests_until = now + REST_SECONDS
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_SECONDS
            name, times = self.guard.name, self._untold
            _log.warning("guard_failed", guard=name, failure=failure, why=why, times=times)
            self._untold = 0

    def credential(self, environ: Mapping[str, str], now: float) -> Mapping[str, str]:
        """Return the header with the guard's credential; raises _Wrong when it cannot be had."""
        if self.guard.credential is not None and now >= self._credential_until:
            header = self.guard.credential_header
            secret = _secret(self.guard.credential, environ)
            self._credential = {header: f"Bearer {secret}" if header == "authorization" else secret}
            self._credential_until = now + SECRET_SECONDS
        return self._credential


def question(hook: Hook, request: InferenceRequest) -> bytes:
    """Return what a guard is told: JSON.

    ``body`` is the client's, byte by byte, without the fields that steer the decision.
    """
    user, body = request.user, request.body
    members = [
        body[span.key : span.end]
        for name, span in request.spans.items()
        if name not in CONTROL_FIELDS
    ]
    return msgspec.json.encode(
        {
            "guard_id": hook.guard.name,
            "parameters": msgspec.Raw(hook.parameters.encode()),
            "operation": request.operation,
            "path": request.path,
            "user": {"id": user.id, "tenant": user.tenant, "tier": user.tier},
            "body": msgspec.Raw(b"{" + b",".join(members) + b"}"),
        }
    )


def _trust(ca_file: str | None) -> ssl.SSLContext:
    """Return whom to trust; nobody, if the file cannot be had: a worker must start all the same."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        _log.warning("authorities_not_read", file=ca_file, error=type(error).__name__)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _silence(guard: Guard, failure: str) -> Mapping[str, Any]:
    return {"passed": guard.on_error == "pass", "error": failure}


def _secret(reference: str, environ: Mapping[str, str]) -> str:
    """Return what ``env:NAME`` or ``file:PATH`` points to; messages never have it."""
    kind, _, place = reference.partition(":")
    try:
        text = Path(place).read_text("utf-8") if kind == "file" else environ.get(place, "")
    except (OSError, ValueError):
        text = ""
    text = text.strip()
    if kind not in {"env", "file"} or not (text.isascii() and text.isprintable()) or not text:
        raise _Wrong("its credential cannot be had, or no header can carry it")
    return text
