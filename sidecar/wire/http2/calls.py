"""gRPC's calls over a connection: each message goes to a handler, its Reply to the client."""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple, Protocol

import structlog

from sidecar.wire.exchange import Reply
from sidecar.wire.http2.connection import Connection
from sidecar.wire.http2.frames import GREATEST, ErrorCode
from sidecar.wire.http2.headers import ANSWER, trailers
from sidecar.wire.http2.messages import Code, MessageReader, Refused
from sidecar.wire.http2.outbox import Stream
from sidecar.wire.http2.streams import Limits

_MOST_WAITING = 100
_SLACK = 64 * 1024
"""What a stream may send beyond the longest message: prefixes, padding, the next message."""
_OK = trailers(Code.OK)
_UNKNOWN = Refused(Code.UNIMPLEMENTED, "unknown method")
_FULL = Refused(Code.RESOURCE_EXHAUSTED, "too much is under way")
_CUT_OFF = Refused(Code.INTERNAL, "the message is cut off")
_FAILED = Refused(Code.INTERNAL, "the call failed")
_log = structlog.get_logger()

Handler = Callable[[bytes], Reply]
"""Takes the messages of one call."""
Services = Mapping[bytes, Callable[[], Handler]]
"""``/package.Service/Method`` → what makes the handler of one call."""
Landed = Callable[[bytes | None, BaseException | None], None]
"""Takes an answer that was not known before, or why there is none."""


class Task(Protocol):
    """An answer that is not known yet."""

    def cancel(self) -> object:
        """Give it up; whether ``Landed`` is called then does not matter."""


class Room(NamedTuple):
    """What a connection may take: ``message``: bytes of one; ``held``: bytes of all incomplete and
    waiting messages, and again of all answers that wait for a window."""

    message: int
    held: int


class _Call:
    """One call. While ``task`` runs, messages wait: answers keep their order."""

    __slots__ = ("begun", "counted", "handler", "messages", "stream", "task", "waiting")

    def __init__(self, stream: Stream, handler: Handler, longest: int) -> None:
        self.stream = stream
        self.handler = handler
        self.messages = MessageReader(longest)
        self.waiting: deque[bytes] = deque()
        self.task: Task | None = None
        self.begun = False
        self.counted = 0

    @property
    def over(self) -> bool:
        """Whether nothing more can be answered."""
        return self.stream.call is not self


class Calls:
    """The calls of one connection. ``start``: waits for an answer, then tells ``Landed``."""

    def __init__(
        self,
        services: Services,
        room: Room,
        start: Callable[[Awaitable[bytes | None], Landed], Task],
    ) -> None:
        self._services = services
        self._room = room
        self._start = start
        self._held = 0
        credit = min(room.message + _SLACK, GREATEST)
        self.connection = Connection(self, Limits(credit))

    def opened(self, stream: Stream, path: bytes) -> None:
        """Begin a call."""
        make = self._services.get(path)
        if make is None:
            self._refuse(stream, _UNKNOWN)
        else:
            stream.call = _Call(stream, make(), self._room.message)

    def data(self, stream: Stream, payload: bytes) -> None:
        """Answer the messages that are complete now."""
        call: _Call = stream.call
        try:
            call.waiting += call.messages.feed(payload)
        except Refused as refused:
            self._refuse(stream, refused)
            return
        self._go_on(call)
        if call.over:
            return
        self._count(call)
        if self._held > self._room.held or len(call.waiting) > _MOST_WAITING:
            self._refuse(stream, _FULL)

    def ended(self, stream: Stream) -> None:
        """End a call whose client has said all, as soon as all is answered."""
        self._go_on(stream.call)

    def dropped(self, stream: Stream) -> None:
        """Give up what is under way for a stream."""
        call: _Call | None = stream.call
        stream.call = None
        if call is None:
            return
        self._held -= call.counted
        if call.task is not None:
            call.task.cancel()

    def _count(self, call: _Call) -> None:
        kept = call.messages.held + sum(map(len, call.waiting))
        self._held += kept - call.counted
        call.counted = kept

    def _go_on(self, call: _Call) -> None:
        while call.waiting and call.task is None and not call.over:
            self._feed(call, call.waiting.popleft())
        if call.stream.ended and call.task is None and not call.over:
            if call.messages.held:
                self._refuse(call.stream, _CUT_OFF)
            else:
                self._finish(call)

    def _feed(self, call: _Call, message: bytes) -> None:
        try:
            reply = call.handler(message)
        except Exception:  # noqa: BLE001 - its text is for the log, not for the client
            _log.exception("call_failed")
            self._refuse(call.stream, _FAILED)
            return
        if reply.later is None:
            self._answer(call, reply.message, last=reply.last)
        else:
            call.task = self._start(reply.later, partial(self._landed, call, reply.last))

    def _landed(
        self, call: _Call, last: bool, message: bytes | None, error: BaseException | None
    ) -> None:
        if call.over:
            return
        call.task = None
        if error is not None:
            _log.error("call_failed", exc_info=error)
            self._refuse(call.stream, _FAILED)
            return
        self._answer(call, message, last=last)
        self._go_on(call)
        if not call.over:
            self._count(call)

    def _answer(self, call: _Call, message: bytes | None, *, last: bool) -> None:
        if message is not None:
            if not call.begun:
                call.begun = True
                self.connection.begin(call.stream, ANSWER)
            prefix = b"\x00" + len(message).to_bytes(4, "big")
            self.connection.send(call.stream, prefix + message)
        if self.connection.unsent > self._room.held:
            self.connection.reset(call.stream, ErrorCode.ENHANCE_YOUR_CALM)
        elif last:
            self._finish(call)

    def _finish(self, call: _Call) -> None:
        block = _OK if call.begun else ANSWER + _OK
        stream = call.stream
        self.dropped(stream)
        self.connection.finish(stream, block)

    def _refuse(self, stream: Stream, refused: Refused) -> None:
        """End a call with a status; what was answered before goes out first."""
        call: _Call | None = stream.call
        block = trailers(refused.code, refused.text)
        begun = call is not None and call.begun
        self.dropped(stream)
        self.connection.finish(stream, block if begun else ANSWER + block)
