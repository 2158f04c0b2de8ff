"""The gRPC server of a worker: ext_proc, health and explanations on one Unix socket."""

import asyncio
from pathlib import Path
from typing import Any

import grpc

from sidecar.pb import health_pb2
from sidecar.wire.decider import Decider
from sidecar.wire.exchange import Exchange
from sidecar.wire.explainer import METHOD, SERVICE, Explainer

_EXT_PROC = "envoy.service.ext_proc.v3.ExternalProcessor"
_HEALTH = "grpc.health.v1.Health"
_MESSAGE_OVERHEAD = 1024 * 1024


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
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", max_body_bytes + _MESSAGE_OVERHEAD),
                ("grpc.max_send_message_length", max_body_bytes + _MESSAGE_OVERHEAD),
                ("grpc.so_reuseport", 0),
            ]
        )

    async def start(self) -> None:
        """Bind the socket (a stale one is replaced) and begin to serve."""
        self._socket.unlink(missing_ok=True)
        self._server.add_generic_rpc_handlers((self._ext_proc(), self._health()))
        if self._explainer is not None:
            self._server.add_generic_rpc_handlers((self._explain(self._explainer),))
        self._server.add_insecure_port(f"unix:{self._socket}")
        await self._server.start()

    async def drain(self, notice_seconds: float, grace_seconds: float) -> None:
        """Stop without losing a request.

        Envoy is told first, through the health check, and gets ``notice_seconds`` to send its
        decisions elsewhere; then streams that are under way get ``grace_seconds`` to finish.
        """
        self._serving = False
        await asyncio.sleep(notice_seconds)
        await self._server.stop(grace_seconds)
        self._socket.unlink(missing_ok=True)

    def _ext_proc(self) -> grpc.GenericRpcHandler:
        handler: Any = grpc.stream_stream_rpc_method_handler(self._process)
        return grpc.method_handlers_generic_handler(_EXT_PROC, {"Process": handler})

    def _health(self) -> grpc.GenericRpcHandler:
        handler: Any = grpc.unary_unary_rpc_method_handler(
            self._check, response_serializer=health_pb2.HealthCheckResponse.SerializeToString
        )
        return grpc.method_handlers_generic_handler(_HEALTH, {"Check": handler})

    @staticmethod
    def _explain(explainer: Explainer) -> grpc.GenericRpcHandler:
        async def answer(question: bytes, _context: Any) -> bytes:
            return await explainer.answer(question)

        handler: Any = grpc.unary_unary_rpc_method_handler(answer)
        return grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler})

    async def _process(self, _messages: Any, stream: Any) -> None:
        """Answer and return: a stream left open would live as long as the client's response."""
        exchange = Exchange(self._decider)
        while (received := await stream.read()) is not grpc.aio.EOF:
            reply = exchange.feed(received)
            message = reply.message if reply.later is None else await reply.later
            if message is not None:
                await stream.write(message)
            if reply.last:
                return

    async def _check(self, _request: bytes, _context: Any) -> health_pb2.HealthCheckResponse:
        """Healthy as long as decisions can be made: not draining, and rules are loaded."""
        serving = self._serving and self._decider.ready
        status = health_pb2.HealthCheckResponse
        return status(status=status.SERVING if serving else status.NOT_SERVING)
