"""The gRPC server of a worker: ext_proc, health and explanations on one Unix socket."""

import asyncio
import contextlib
from pathlib import Path

from sidecar.pb import health_pb2
from sidecar.wire.decider import Decider
from sidecar.wire.exchange import Exchange, Reply
from sidecar.wire.explainer import METHOD, SERVICE, Explainer
from sidecar.wire.http2.calls import Handler, Room
from sidecar.wire.http2.protocol import GrpcProtocol

_EXT_PROC = b"/envoy.service.ext_proc.v3.ExternalProcessor/Process"
_HEALTH = b"/grpc.health.v1.Health/Check"
_EXPLAIN = f"/{SERVICE}/{METHOD}".encode()
_MESSAGE_OVERHEAD = 1024 * 1024
_MOST_HELD = 64 * 1024 * 1024
_BACKLOG = 1024
_STATUS = health_pb2.HealthCheckResponse
_HEALTHY = _STATUS(status=_STATUS.SERVING).SerializeToString()
_UNHEALTHY = _STATUS(status=_STATUS.NOT_SERVING).SerializeToString()


class DecisionServer:
    """Serves decisions on a Unix socket until it is drained."""

    def __init__(
        self,
        decider: Decider,
        socket: Path,
        max_body_bytes: int,
        explainer: Explainer | None = None,
    ) -> None:
        self._decider = decider
        self._explainer = explainer
        self._socket = socket
        self._serving = True
        longest = max_body_bytes + _MESSAGE_OVERHEAD
        self._room = Room(message=longest, held=max(_MOST_HELD, 4 * longest))
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._connections: set[GrpcProtocol] = set()
        self._services = {_EXT_PROC: self._process, _HEALTH: lambda: self._check}
        if explainer is not None:
            self._services[_EXPLAIN] = lambda: self._explain(explainer)

    async def start(self) -> None:
        """Bind the socket (a stale one is replaced) and begin to serve."""
        self._socket.unlink(missing_ok=True)
        self._server = await asyncio.get_running_loop().create_unix_server(
            self._connect, self._socket, backlog=_BACKLOG
        )
        self._inode = self._socket.stat().st_ino

    async def drain(self, notice_seconds: float, grace_seconds: float) -> None:
        """Stop without losing a request.

        Envoy is told first, through the health check, and gets ``notice_seconds`` to send its
        decisions elsewhere, unless it is gone itself; then streams that are under way get
        ``grace_seconds`` to finish.
        """
        self._serving = False
        await self._wait(notice_seconds)
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.leave()
        await self._wait(grace_seconds)
        for connection in self._connections:
            connection.abort()
        await self._wait(None)
        self._unlink()

    def _unlink(self) -> None:
        """Remove the socket, unless it is that of a successor who did not wait for our end."""
        with contextlib.suppress(FileNotFoundError):
            if self._socket.stat().st_ino == self._inode:
                self._socket.unlink()

    async def _wait(self, seconds: float | None) -> None:
        """Wait until all connections are gone."""
        if self._connections:
            await asyncio.wait([one.gone for one in self._connections], timeout=seconds)

    def _connect(self) -> GrpcProtocol:
        connection = GrpcProtocol(self._services, self._room)
        self._connections.add(connection)
        connection.gone.add_done_callback(lambda _gone: self._connections.discard(connection))
        return connection

    def _process(self) -> Handler:
        return Exchange(self._decider).feed

    def _check(self, _request: bytes) -> Reply:
        """Healthy as long as decisions can be made: not draining, and rules are loaded."""
        serving = self._serving and self._decider.ready
        return Reply(_HEALTHY if serving else _UNHEALTHY, last=True)

    @staticmethod
    def _explain(explainer: Explainer) -> Handler:
        return lambda question: Reply(None, last=True, later=explainer.answer(question))
