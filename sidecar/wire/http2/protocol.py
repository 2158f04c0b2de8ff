"""Calls over asyncio: what a transport brings, and what it takes."""

import asyncio
from asyncio import Future, Task, Transport
from collections.abc import Awaitable
from functools import partial
from typing import cast

import structlog

from sidecar.wire.http2.calls import Calls, Landed, Room, Services
from sidecar.wire.http2.frames import ConnectionFault, ErrorCode

_MOST_BUFFERED = 1024 * 1024
_LINGER_SECONDS = 5.0
_log = structlog.get_logger()


class GrpcProtocol(asyncio.Protocol):
    """One connection. What it writes is joined: one write for whatever one read has brought."""

    def __init__(self, services: Services, room: Room) -> None:
        self.gone: Future[None] = asyncio.get_running_loop().create_future()
        self._calls = Calls(services, room, self._start)
        self._http = self._calls.connection
        self._transport: Transport | None = None
        self._tasks: set[Task[bytes | None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with our settings."""
        self._transport = cast("Transport", transport)
        self._transport.set_write_buffer_limits(_MOST_BUFFERED)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Serve; an error of ours costs this connection, not the worker."""
        try:
            self._http.receive(data)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("connection_failed")
            self._http.fail(ConnectionFault(ErrorCode.INTERNAL_ERROR, ""))
        self._flush()

    def connection_lost(self, _error: Exception | None) -> None:
        """Give up what is under way."""
        self._transport = None
        self._http.lose()
        if not self.gone.done():
            self.gone.set_result(None)

    def pause_writing(self) -> None:
        """Take no more from a peer that does not read its answers."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on: the answers are read."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def leave(self) -> None:
        """Finish what the peer has begun, and then close; ``gone`` says when."""
        self._http.leave()
        self._flush()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    def _start(self, later: Awaitable[bytes | None], landed: Landed) -> Task[bytes | None]:
        task = cast("Task[bytes | None]", asyncio.ensure_future(later))
        self._tasks.add(task)
        task.add_done_callback(partial(self._landed, landed))
        return task

    def _landed(self, landed: Landed, task: Task[bytes | None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            landed(None, asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            landed(None, error)
        else:
            landed(task.result(), None)
        self._flush()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if out := self._http.take():
            transport.write(out)
        if self._http.closed:
            self._close(transport)

    def _close(self, transport: Transport) -> None:
        """Close when all is sent, or when the peer has not read it for too long."""
        if self._http.fault is not None:
            _log.warning("connection_refused", why=str(self._http.fault))
        transport.close()
        linger = asyncio.get_running_loop().call_later(_LINGER_SECONDS, transport.abort)
        self.gone.add_done_callback(lambda _gone: linger.cancel())
