"""From a request as Envoy tells it to an answer: a worker's live rules, statistics and memory."""

import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog

from sidecar import facts
from sidecar.decide import decide
from sidecar.errors import BodyTooLarge, RequestError
from sidecar.explain import LONGEST_BODY, Record, Records
from sidecar.model import (
    FORGETFUL,
    Decision,
    Effect,
    Entropy,
    Hook,
    InferenceRequest,
    Memory,
    Pending,
    Recall,
    Sampling,
    Snapshot,
    Stats,
    TraceContext,
    read_traceparent,
    span_context,
)
from sidecar.wire.answer import Answers
from sidecar.wire.asker import Asker, explanation_header
from sidecar.wire.portable import rewritten
from sidecar.wire.refusal import refuse

MOST_GUARDS = 10
"""Questions to guards for one request; for more of them the answer is an error."""

Answer = bytes | None | Coroutine[Any, Any, bytes | None]
"""Bytes for Envoy, nothing (Envoy fails open), or what becomes one of these after a wait."""


_log = structlog.get_logger()


class LiveMemory(Memory, Protocol):
    """A memory that can be changed."""

    def apply(self, effects: Sequence[Effect]) -> None:
        """Remember what a decision wants to be remembered."""


class Guards(Protocol):
    """Services that say yes or no about a request."""

    def ask(self, hook: Hook, request: InferenceRequest) -> Awaitable[Mapping[str, Any]]:
        """Return the verdict, ``{"error": …}`` when there is none; never raises."""


class Sample(Protocol):
    """Takes some requests, to look at them later. ``below``: the seeds of those that it takes."""

    below: int

    def take(self, record: Record, request: InferenceRequest) -> None:
        """Take a request. Never waits, never raises."""


class _Case(NamedTuple):
    """One request on its way to an answer. ``body``: also when it is too long for the record."""

    record: Record
    body: bytes
    recall: Recall
    started: int
    rewrite: bool
    source: str


class Decider:
    """Everything that a worker needs to answer: the live snapshot, statistics and limits.

    ``explain_to``: who may ask on a request why it goes where it goes; ``None``: nobody.
    ``sample``: takes a share of all requests that could be read. ``tracing``: which requests are
    traced; ``None``: none, and their trace contexts are left alone.
    """

    def __init__(  # noqa: PLR0913 - what is live, and what is optional
        self,
        snapshot: Callable[[], Snapshot | None],
        stats: Callable[[], Stats],
        max_body_bytes: int,
        *,
        memory: LiveMemory | None = None,
        guards: Guards | None = None,
        records: Records | None = None,
        explain_to: Asker | None = None,
        sample: Sample | None = None,
        tracing: Sampling | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._stats = stats
        self._max_body_bytes = max_body_bytes
        self._memory: Memory = memory or FORGETFUL
        self._apply = memory.apply if memory is not None else None
        self._guards = guards
        self._keep = records.keep if records is not None else None
        self._explain_to = explain_to
        self._sample = sample
        self._tracing = tracing
        self._below = 0 if sample is None else sample.below
        self._answers = Answers()

    @property
    def ready(self) -> bool:
        """Whether there are rules to decide by."""
        return self._snapshot() is not None

    def answer(
        self, path: str, headers: Mapping[str, str], body: bytes, *, rewrite: bool, source: str = ""
    ) -> Answer:
        """Decide one request; ``None``: no configuration yet, or a defect (Envoy fails open).

        ``rewrite``: answer with the first attempt's headers and body instead of a plan. That is
        for an Envoy of one's own, of whose clusters nothing is known here. ``source``: address and
        port of who is connected, if Envoy was told to tell.
        """
        snapshot = self._snapshot()
        if snapshot is None:
            return None
        started = time.perf_counter_ns()
        stats, recall, size = self._stats(), Recall(self._memory), len(body)
        if rewrite and stats.unready:
            stats = msgspec.structs.replace(stats, unready=frozenset())
        kept = body if size <= LONGEST_BODY else None
        seed = random.getrandbits(64)
        # Milliseconds, as the decision's id has them: a replay starts from the id.
        now = int(time.time() * 1000) / 1000
        record = Record(path, headers, kept, size, snapshot, stats, seed, now, recall.reads)
        if self._keep is not None:
            self._keep(record)
        case = _Case(record, body, recall, started, rewrite, source)
        try:
            return self._answer(case)
        except Exception:  # noqa: BLE001
            # Nothing of an unforeseen error may reach the client; without an answer Envoy fails
            # open to the default chain.
            _log.exception("decision_failed", path=path, **self._ids(record))
            return None

    def _answer(self, case: _Case) -> Answer:
        record, recall = case.record, case.recall
        snapshot = record.snapshot
        try:
            if record.size > self._max_body_bytes:
                raise BodyTooLarge(f"the body has {record.size} bytes of {self._max_body_bytes}")
            request = facts.read(record.path, record.headers, case.body, keys=snapshot.keys)
            if record.seed < self._below and self._sample is not None:
                self._sample.take(record, request)
            entropy = Entropy(record.seed)
            decision = decide(snapshot, record.stats, request, entropy, record.now, recall)
        except RequestError as error:
            return self._refused(case, error)
        except Pending as pending:
            return self._after_guards(case, request, pending.hook)
        return self._decided(case, request, decision)

    async def _after_guards(
        self, case: _Case, request: InferenceRequest, hook: Hook
    ) -> bytes | None:
        try:
            return await self._ask_guards(case, request, hook)
        except Exception:  # noqa: BLE001 - as in `answer`
            _log.exception("decision_failed", path=case.record.path, **self._ids(case.record))
            return None

    async def _ask_guards(self, case: _Case, request: InferenceRequest, hook: Hook) -> bytes:
        """Ask one guard after the other, and decide again, until the decision needs no more."""
        record, asked = case.record, 0
        while True:
            case.recall.reads["verdict", hook] = await self._verdict(hook, request, asked)
            asked += 1
            try:
                entropy = Entropy(record.seed)
                decision = decide(
                    record.snapshot, record.stats, request, entropy, record.now, case.recall
                )
            except RequestError as error:
                return self._refused(case, error)
            except Pending as pending:
                hook = pending.hook
            else:
                return self._decided(case, request, decision)

    async def _verdict(
        self, hook: Hook, request: InferenceRequest, asked: int
    ) -> Mapping[str, Any]:
        if self._guards is None:
            return {"error": "not asked"}
        if asked >= MOST_GUARDS:
            return {"error": "too many guards"}
        return await self._guards.ask(hook, request)

    def _decided(self, case: _Case, request: InferenceRequest, decision: Decision) -> bytes:
        if self._apply is not None and decision.plan.effects:
            self._apply(decision.plan.effects)
        spent = (time.perf_counter_ns() - case.started) // 1000
        if case.rewrite:
            return rewritten(decision, request, case.record.path, spent)
        unlimited = case.record.stats.unlimited
        answer = self._answers.decided(decision, request.operation, spent, unlimited)
        if decision.charges:
            answer += self._answers.charged(decision.charges)
        if self._tracing is not None:
            parent = self._parent(case.record)
            context = span_context(decision.id, parent, self._tracing)
            answer += self._answers.traced(context, parent)
        if self._explain_to is not None and (why := self._explanation(case)):
            return answer + self._answers.explained(why)
        return answer

    def _refused(self, case: _Case, error: RequestError) -> bytes:
        return refuse(error, case.record.id, self._explanation(case))

    def _explanation(self, case: _Case) -> str:
        """Return the header's text for those who ask and may; empty for all others."""
        record = case.record
        if self._explain_to is None or not self._explain_to.may(record.headers, case.source):
            return ""
        try:
            return explanation_header(record._replace(body=case.body))
        except Exception:  # noqa: BLE001 - the answer is there, and goes without its explanation
            _log.exception("explanation_failed", path=record.path, **self._ids(record))
            return ""

    def _ids(self, record: Record) -> dict[str, str]:
        """Return what a line of the log about a request can be found by."""
        if self._tracing is None:
            return {"decision": record.id}
        context = span_context(record.id, self._parent(record), self._tracing)
        return {"decision": record.id, "trace_id": context.trace_id}

    @staticmethod
    def _parent(record: Record) -> TraceContext | None:
        """Return the client's trace context, which Envoy tells only where requests are traced."""
        return read_traceparent(record.headers.get("traceparent", ""))
