"""A stand-in for the sidecar: answers Envoy with given metadata, keeps its access log."""

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from sidecar.pb import access_log_entry_pb2 as entries
from sidecar.pb import access_log_pb2 as log
from sidecar.pb import ext_proc_pb2 as pb
from sidecar.pb import health_pb2 as health

Metadata = dict[str, Any]


def plan(*clusters: str, patches: list[list[Any]] | None = None, try_ms: int = 60_000) -> Metadata:
    """Return a decision's metadata, as the sidecar sends it."""
    groups = [
        {"name": str(place), "clusters": [{"cluster_name": name, "weight": 1}]}
        for place, name in enumerate(clusters)
    ]
    return {
        "pointsman.route": {
            "priority_groups": groups,
            "retries": str(len(clusters) - 1),
            "try_ms": str(try_ms),
        },
        "pointsman.patch": {"attempts": patches or [[] for _ in clusters]},
        "pointsman.decision": {"id": "d-1", "route": "r-1", "strategy": "fallback", "version": "7"},
    }


class Sidecar:
    """Serves ext_proc, health and access log on two sockets of ``run_dir``.

    ``decide``: body and attributes → metadata, ``None`` to say nothing, or a whole answer; or
    what any of them is to be awaited from.
    """

    def __init__(self, run_dir: str) -> None:
        self.decide: Callable[[bytes, dict[str, str]], Any] = lambda _body, _attributes: None
        self.seen: list[tuple[bytes, dict[str, str]]] = []
        self.entries: list[tuple[str, entries.HTTPAccessLogEntry]] = []
        self._run_dir = run_dir

    def always(self, metadata: Any) -> None:
        self.decide = lambda _body, _attributes: metadata

    def logged(self, name: str) -> list[entries.HTTPAccessLogEntry]:
        return [entry for log_name, entry in self.entries if log_name == name]

    async def start(self) -> "Sidecar":
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", 64 << 20)])
        handle = grpc.method_handlers_generic_handler
        self._server.add_generic_rpc_handlers(
            (
                handle(
                    "envoy.service.ext_proc.v3.ExternalProcessor",
                    {"Process": grpc.stream_stream_rpc_method_handler(self._process)},
                ),
                handle(
                    "grpc.health.v1.Health",
                    {"Check": grpc.unary_unary_rpc_method_handler(_serving)},
                ),
                handle(
                    "envoy.service.accesslog.v3.AccessLogService",
                    {"StreamAccessLogs": grpc.stream_unary_rpc_method_handler(self._log)},
                ),
            )
        )
        for name in ("worker-0", "control"):
            self._server.add_insecure_port(f"unix:{self._run_dir}/{name}.sock")
        await self._server.start()
        return self

    async def stop(self) -> None:
        await self._server.stop(0)

    async def _process(self, messages: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for message in messages:
            request = pb.ProcessingRequest.FromString(message)
            attributes = {
                name: value.string_value
                for struct in request.attributes.values()
                for name, value in struct.fields.items()
            }
            self.seen.append((request.request_body.body, attributes))
            decided = self.decide(request.request_body.body, attributes)
            yield _answer(await decided if inspect.isawaitable(decided) else decided)
            return

    async def _log(self, messages: AsyncIterator[bytes], _: Any) -> bytes:
        name = ""
        async for raw in messages:
            message = log.StreamAccessLogsMessage.FromString(raw)
            name = message.identifier.log_name or name
            self.entries.extend((name, entry) for entry in message.http_logs.log_entry)
        return b""


async def _serving(_request: bytes, _context: Any) -> bytes:
    return health.HealthCheckResponse(status="SERVING").SerializeToString()


def _answer(decided: Any) -> bytes:
    if isinstance(decided, pb.ProcessingResponse):
        return decided.SerializeToString()
    answer = pb.ProcessingResponse()
    answer.request_body.response.SetInParent()
    if decided is not None:
        answer.dynamic_metadata.update(decided)
        answer.request_body.response.clear_route_cache = True
        answer.request_body.response.header_mutation.SetInParent()
    return answer.SerializeToString()
