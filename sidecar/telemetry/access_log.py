"""Envoy's gRPC access log service: bytes in, outcomes and failed attempts out.

Entries are parsed one by one. A batch is one protobuf message, so a single entry with a string
that is not UTF-8 would otherwise take all other entries of its batch with it, and with the first
batch of a stream the name of the log as well.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

import grpc
import structlog
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from sidecar.pb.access_log_entry_pb2 import HTTPAccessLogEntry
from sidecar.pb.access_log_pb2 import StreamAccessLogsMessage
from sidecar.telemetry.outcome import FailedAttempt, Outcome, read_attempt, read_request

REQUESTS, ATTEMPTS = "requests", "attempts"
"""Names of the logs: finished requests, failed attempts at a backend."""

_SERVICE = "envoy.service.accesslog.v3.AccessLogService"
_IDENTIFIER = StreamAccessLogsMessage.IDENTIFIER_FIELD_NUMBER
_HTTP_LOGS = StreamAccessLogsMessage.HTTP_LOGS_FIELD_NUMBER
_LOG_ENTRY = StreamAccessLogsMessage.HTTPAccessLogEntries.LOG_ENTRY_FIELD_NUMBER
_LENGTH_DELIMITED = 2
_log = structlog.get_logger()


class Sink(Protocol):
    """Where what was read goes. Called on the event loop: it must be quick."""

    def outcome(self, outcome: Outcome) -> None:
        """Take what came of one request."""

    def attempt(self, attempt: FailedAttempt) -> None:
        """Take one failed attempt."""

    def broken(self) -> None:
        """Count an entry, or a whole message, that could not be read."""


def access_log_handlers(sink: Sink) -> grpc.GenericRpcHandler:
    """Return the service, to be added to a grpc.aio server."""

    async def stream(messages: AsyncIterator[bytes], _context: Any) -> bytes:
        reader = Reader(sink)
        async for message in messages:
            reader.feed(message)
        return b""

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_unary_rpc_method_handler(stream)
    return grpc.method_handlers_generic_handler(_SERVICE, {"StreamAccessLogs": handler})


class Reader:
    """One stream. Envoy names the log in the first message only."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._log_name = ""

    def feed(self, message: bytes) -> None:
        """Hand all entries of a message to the sink; what is broken is counted, never raised."""
        try:
            for number, part in _parts(message):
                if number == _IDENTIFIER:
                    identifier = StreamAccessLogsMessage.Identifier.FromString(part)
                    self._log_name = identifier.log_name
                elif number == _HTTP_LOGS:
                    self._feed_entries(part)
        except DecodeError:
            self._sink.broken()

    def _feed_entries(self, batch: bytes) -> None:
        for number, part in _parts(batch):
            if number != _LOG_ENTRY:
                continue
            try:
                self._take(HTTPAccessLogEntry.FromString(part))
            except DecodeError:
                self._sink.broken()
            except Exception:  # noqa: BLE001
                # One entry, odd in a way that nobody thought of, must not end the stream:
                # Envoy would open it again and all statistics would stutter.
                self._sink.broken()
                _log.debug("access_log_entry_failed", log=self._log_name, exc_info=True)

    def _take(self, entry: HTTPAccessLogEntry) -> None:
        if self._log_name == REQUESTS:
            outcome = read_request(entry)
            self._sink.outcome(outcome)
            if outcome.unlogged is not None:
                self._sink.attempt(outcome.unlogged)
        elif self._log_name == ATTEMPTS:
            attempt = read_attempt(entry)
            if attempt is not None:
                self._sink.attempt(attempt)
        else:
            self._sink.broken()


def _parts(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield field number and bytes of each embedded message, unparsed. Raises DecodeError."""
    fields = UnknownFieldSet(Empty.FromString(message))
    for place in range(len(fields)):
        field = fields[place]
        if field.wire_type == _LENGTH_DELIMITED:
            yield field.field_number, field.data
