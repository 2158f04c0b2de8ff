"""One ext_proc stream: bytes in, bytes out. No transport in here, so any transport can carry it."""

import random
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import structlog

from sidecar import facts
from sidecar.decide import decide
from sidecar.errors import BodyTooLarge, InvalidJson, RequestError
from sidecar.model import OPERATIONS, Entropy, Snapshot, Stats
from sidecar.pb import ext_proc_pb2 as pb
from sidecar.wire.answer import Answers
from sidecar.wire.portable import rewritten
from sidecar.wire.refusal import refuse

_ATTRIBUTES = "envoy.filters.http.ext_proc"
_HEADER = "request.headers['"
_log = structlog.get_logger()


class Reply(NamedTuple):
    """What to send, and whether the stream is finished with it. ``None``: send nothing."""

    message: bytes | None
    last: bool


class Decider:
    """Everything that a worker needs to answer: the live snapshot, statistics and limits."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot | None],
        stats: Callable[[], Stats],
        max_body_bytes: int,
    ) -> None:
        self._snapshot = snapshot
        self._stats = stats
        self._max_body_bytes = max_body_bytes
        self._answers = Answers()

    @property
    def ready(self) -> bool:
        """Whether there are rules to decide by."""
        return self._snapshot() is not None

    def answer(
        self, path: str, headers: Mapping[str, str], body: bytes, *, rewrite: bool
    ) -> bytes | None:
        """Decide one request; ``None`` when there is no configuration yet (Envoy fails open).

        ``rewrite``: answer with the first attempt's headers and body instead of a plan. That is
        for an Envoy of one's own, of whose clusters nothing is known here.
        """
        snapshot = self._snapshot()
        if snapshot is None:
            return None
        started = time.perf_counter_ns()
        try:
            if len(body) > self._max_body_bytes:
                raise BodyTooLarge(f"the body has {len(body)} bytes of {self._max_body_bytes}")
            request = facts.read(path, headers, body)
            entropy = Entropy(random.getrandbits(64))
            # Milliseconds, as the decision's id has them: a replay starts from the id.
            now = int(time.time() * 1000) / 1000
            stats = self._stats()
            if rewrite and stats.unready:
                stats = msgspec.structs.replace(stats, unready=frozenset())
            decision = decide(snapshot, stats, request, entropy, now)
        except RequestError as error:
            return refuse(error)
        spent = (time.perf_counter_ns() - started) // 1000
        if rewrite:
            return rewritten(decision, request, path, spent)
        return self._answers.decided(decision, request.operation, spent)


class Exchange:
    """One stream. Feed it each message; it says what to send and when the stream is over."""

    __slots__ = ("_decider", "_headers")

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        self._headers: dict[str, str] | None = None

    def feed(self, message: bytes) -> Reply:
        """Answer one ProcessingRequest."""
        request = pb.ProcessingRequest.FromString(message)
        kind = request.WhichOneof("request")
        if kind == "request_headers":
            return self._begin(request.request_headers)
        if kind == "request_body":
            return Reply(self._decide(request), last=True)
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

    def _decide(self, request: pb.ProcessingRequest) -> bytes | None:
        sent = self._headers
        path, headers = _attributes(request) if sent is None else (sent.get(":path", ""), sent)
        try:
            if path.partition("?")[0] not in OPERATIONS:
                return _CONTINUE_BODY
            return self._decider.answer(
                path, headers, request.request_body.body, rewrite=sent is not None
            )
        except Exception:  # noqa: BLE001
            # Nothing of an unforeseen error may reach the client; without an answer Envoy fails
            # open to the default chain.
            _log.exception("decision_failed", path=path)
            return None


def _attributes(request: pb.ProcessingRequest) -> tuple[str, dict[str, str]]:
    """Return path and headers from the attributes that the filter was told to send."""
    path, headers = "", {}
    for name, value in request.attributes[_ATTRIBUTES].fields.items():
        if name.startswith(_HEADER):
            headers[name[len(_HEADER) : -2]] = value.string_value
        elif name == "request.path":
            path = value.string_value
    return path, headers


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
_NO_BODY = refuse(InvalidJson("The request has no body; a JSON object is needed."))
