"""One ext_proc stream: bytes in, bytes out. No transport in here, so any transport can carry it."""

from collections.abc import Awaitable
from typing import NamedTuple

import structlog
from google.protobuf.message import DecodeError

from sidecar.errors import InvalidJson
from sidecar.model import OPERATIONS
from sidecar.pb import ext_proc_pb2 as pb
from sidecar.wire.decider import Decider
from sidecar.wire.refusal import refuse

_ATTRIBUTES = "envoy.filters.http.ext_proc"
_HEADER = "request.headers['"
_log = structlog.get_logger()


class Reply(NamedTuple):
    """What to send, and whether the stream is finished with it. ``None``: send nothing.

    ``later``: the message is not known yet; whoever awaits this gets it.
    """

    message: bytes | None
    last: bool
    later: Awaitable[bytes | None] | None = None


class Exchange:
    """One stream. Feed it each message; it says what to send and when the stream is over."""

    __slots__ = ("_decider", "_headers")

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        self._headers: dict[str, str] | None = None

    def feed(self, message: bytes) -> Reply:
        """Answer one ProcessingRequest."""
        try:
            request = pb.ProcessingRequest.FromString(message)
        except DecodeError:
            # A client's header with other bytes than UTF-8, which Envoy passes on as it is. Without
            # an answer the request would go on undecided: past every rule, guard and budget.
            return Reply(_NOT_TEXT, last=True)
        kind = request.WhichOneof("request")
        if kind == "request_headers":
            return self._begin(request.request_headers)
        if kind == "request_body":
            return self._decide(request)
        return Reply(None, last=True)

    def _begin(self, sent: pb.HttpHeaders) -> Reply:
        """Answer a message with headers, which only an Envoy of one's own sends.

        The end of the stream tells it that the body of an undecided request can go on as it comes.
        """
        headers = _all_headers(sent)
        path, method = headers.get(":path", ""), headers.get(":method")
        if method != "POST" or path.partition("?")[0] not in OPERATIONS:
            return Reply(_CONTINUE_HEADERS, last=True)
        if sent.end_of_stream:
            return Reply(_NO_BODY, last=True)
        self._headers = headers
        return Reply(_CONTINUE_HEADERS, last=False)

    def _decide(self, request: pb.ProcessingRequest) -> Reply:
        sent = self._headers
        path, headers, source = (
            _attributes(request) if sent is None else (sent.get(":path", ""), sent, "")
        )
        try:
            if path.partition("?")[0] not in OPERATIONS:
                return Reply(_CONTINUE_BODY, last=True)
            answer = self._decider.answer(
                path, headers, request.request_body.body, rewrite=sent is not None, source=source
            )
        except Exception:  # noqa: BLE001 - the last net: the decider has one that knows the id
            _log.exception("decision_failed", path=path)
            return Reply(None, last=True)
        if answer is None or isinstance(answer, bytes):
            return Reply(answer, last=True)
        return Reply(None, last=True, later=answer)


def _attributes(request: pb.ProcessingRequest) -> tuple[str, dict[str, str], str]:
    """Return path, headers and source from the attributes that the filter was told to send."""
    path, headers, source = "", {}, ""
    for name, value in request.attributes[_ATTRIBUTES].fields.items():
        if name.startswith(_HEADER):
            headers[name[len(_HEADER) : -2]] = value.string_value
        elif name == "request.path":
            path = value.string_value
        elif name == "source.address":
            source = value.string_value
    return path, headers, source


def _all_headers(sent: pb.HttpHeaders) -> dict[str, str]:
    """Return all headers, as attributes have them: those of one name joined by commas.

    Envoy fills ``raw_value``, older ones ``value``.
    """
    headers: dict[str, str] = {}
    for header in sent.headers.headers:
        value = header.raw_value.decode("utf-8", "replace") or header.value
        known = headers.get(header.key)
        headers[header.key] = value if known is None else f"{known},{value}"
    return headers


def _continue_headers() -> bytes:
    answer = pb.ProcessingResponse()
    answer.request_headers.response.SetInParent()
    return answer.SerializeToString()


def _continue_body() -> bytes:
    answer = pb.ProcessingResponse()
    answer.request_body.response.SetInParent()
    return answer.SerializeToString()


_CONTINUE_HEADERS = _continue_headers()
_CONTINUE_BODY = _continue_body()
_NOT_TEXT = refuse(InvalidJson("A header of the request that rules read is not UTF-8 text."))
_NO_BODY = refuse(InvalidJson("The request has no body; a JSON object is needed."))
