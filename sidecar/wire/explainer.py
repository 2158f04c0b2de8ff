"""Questions to a worker why a request goes where it goes, over its own socket; JSON both ways."""

import random
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import grpc
import msgspec
import structlog

from sidecar import facts
from sidecar.errors import BodyTooLarge, RequestError
from sidecar.explain import Explanation, Records, encode, explain, explain_record, refused
from sidecar.model import (
    FORGETFUL,
    OPERATIONS,
    InferenceRequest,
    Memory,
    Pending,
    Recall,
    Snapshot,
    Stats,
)
from sidecar.wire.decider import Guards

_log = structlog.get_logger()

SERVICE, METHOD = "pointsman.Explain", "Explain"
_TIMEOUT_SECONDS = 10.0
_NOT_ASKED: Mapping[str, Any] = {"error": "not asked"}


class AskedRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A request to explain. ``body``: JSON, taken byte for byte; a string is the body's text."""

    path: str = "/v1/chat/completions"
    headers: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw(b"{}")

    def body_bytes(self) -> bytes:
        """Return the body as a client would send it."""
        raw = bytes(self.body)
        return msgspec.json.decode(raw, type=str).encode() if raw.startswith(b'"') else raw


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """Either the id of a past decision, or a request that is decided now and goes nowhere.

    ``seed`` and ``at`` make it repeatable; with ``ask_guards`` guards are really asked.
    ``documents``: laid over the rules that are live, ``{kind: {name: document or null}}``; no
    worker is asked about such rules.
    """

    id: str | None = None
    request: AskedRequest | None = None
    seed: Annotated[int, msgspec.Meta(ge=0)] | None = None
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    ask_guards: bool = False
    documents: dict[str, dict[str, msgspec.Raw]] | None = None


class Problem(msgspec.Struct, omit_defaults=True):
    """Why there is no explanation; ``status`` is HTTP's, ``path`` where the question is wrong."""

    status: int
    title: str
    detail: str
    path: str | None = None


class Reply(msgspec.Struct):
    """An explanation, as JSON, or a problem."""

    explanation: msgspec.Raw = msgspec.Raw(b"null")
    problem: Problem | None = None


class Explainer:
    """Answers from the live rules and statistics of one worker, and from what it has kept."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot | None],
        stats: Callable[[], Stats],
        max_body_bytes: int,
        *,
        records: Records,
        memory: Memory | None = None,
        guards: Guards | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._stats = stats
        self._records = records
        self._max_body_bytes = max_body_bytes
        self._memory = memory or FORGETFUL
        self._guards = guards

    async def answer(self, question: bytes) -> bytes:
        """Return a Reply to a Question, both as JSON."""
        decision: str | None = None
        try:
            asked = read_question(question)
            decision = asked.id if isinstance(asked, Question) else None
            found = await self._explain(asked) if isinstance(asked, Question) else asked
            if not isinstance(found, Problem):
                return msgspec.json.encode(Reply(explanation=msgspec.Raw(encode(found))))
        except Exception:  # noqa: BLE001 - its text is for the log, not for whoever asks
            _log.exception("explanation_failed", decision=decision and decision[:64])
            found = Problem(500, "Failed", "The explanation failed; the worker's log says why.")
        return msgspec.json.encode(Reply(problem=found))

    async def _explain(self, asked: Question) -> Explanation | Problem:
        if asked.request is None:
            return self._recorded(asked.id or "")
        if asked.documents is not None:
            return Problem(422, "Wrong question", "no unsaved rules are known here", "$.documents")
        snapshot = self._snapshot()
        if snapshot is None:
            return Problem(503, "No rules", "There are no rules yet; GET /readyz says why.")
        return await self._dry_run(snapshot, asked, asked.request)

    def _recorded(self, identity: str) -> Explanation | Problem:
        record = self._records.find(identity)
        if record is None:
            return _unknown(identity, self._records.most)
        if record.body is None:
            detail = (
                f"Decision {identity} is known, but its body of {record.size} bytes was not kept."
            )
            return Problem(410, "Not kept", detail)
        return explain_record(record)

    async def _dry_run(
        self, snapshot: Snapshot, asked: Question, given: AskedRequest
    ) -> Explanation:
        seed = random.getrandbits(64) if asked.seed is None else asked.seed % 2**64
        now = int((time.time() if asked.at is None else asked.at.timestamp()) * 1000) / 1000
        body = given.body_bytes()
        try:
            if len(body) > self._max_body_bytes:
                raise BodyTooLarge(f"the body has {len(body)} bytes of {self._max_body_bytes}")
            headers = read_headers(given.headers, snapshot)
            request = facts.read(given.path, headers, body, keys=snapshot.keys)
        except RequestError as error:
            return refused(snapshot, seed, now, error)
        recall, stats = Recall(self._memory), self._stats()
        while True:
            try:
                return explain(snapshot, stats, request, seed, now, recall)
            except Pending as pending:
                verdict = await self._verdict(pending, request, ask=asked.ask_guards)
                recall.reads["verdict", pending.hook] = verdict

    async def _verdict(
        self, pending: Pending, request: InferenceRequest, *, ask: bool
    ) -> Mapping[str, Any]:
        if not ask or self._guards is None:
            return _NOT_ASKED
        return await self._guards.ask(pending.hook, request)


def read_question(text: bytes) -> Question | Problem:
    """Read a Question; a Problem says what is wrong with it, and where."""
    try:
        asked = msgspec.json.decode(text, type=Question)
        if asked.request is not None:
            asked.request.body_bytes()
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        return Problem(422, "Wrong question", what, where.strip("`") or "$")
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return Problem(400, "Not JSON", str(error), "$")
    if (asked.id is None) == (asked.request is None):
        return Problem(422, "Wrong question", "needs either `id` or `request`", "$")
    if asked.documents is not None and (asked.request is None or asked.ask_guards):
        detail = "go with `request` only, and without `ask_guards`: no unsaved guard is asked"
        return Problem(422, "Wrong question", detail, "$.documents")
    if asked.request is not None and asked.request.path.partition("?")[0] not in OPERATIONS:
        legal = ", ".join(OPERATIONS)
        detail = f"nothing is decided for this path; decided are: {legal}"
        return Problem(422, "Wrong question", detail, "$.request.path")
    return asked


def read_headers(given: Mapping[str, str], snapshot: Snapshot) -> dict[str, str]:
    """Return the headers that Envoy would send: those that rules read, by lower-case name."""
    named = {name.lower(): text for name, text in given.items()}
    return {name: named[name] for name in snapshot.headers if name in named}


def _unknown(identity: str, most: int) -> Problem:
    kept = f"the last {most} decisions of each worker" if most else "no decisions at all"
    detail = (
        f"No worker here knows decision {identity[:64]!r}. Only the node that decided has it, and "
        f"it keeps {kept} (POINTSMAN_RECORD_DECISIONS), until it is restarted."
    )
    return Problem(404, "Unknown decision", detail)


async def ask_worker(socket: Path, question: bytes) -> Reply | None:
    """Ask the worker behind ``socket``; ``None`` when it does not answer."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(f"unix:{socket}", options=options) as channel:
        ask: Any = channel.unary_unary(f"/{SERVICE}/{METHOD}")
        try:
            return msgspec.json.decode(await ask(question, timeout=_TIMEOUT_SECONDS), type=Reply)
        except grpc.aio.AioRpcError:
            return None
