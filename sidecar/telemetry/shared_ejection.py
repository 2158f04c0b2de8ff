"""Which backends are out, the same on all nodes: each reads what all wrote, in Redis' own order.

| key below the prefix | |
|---|---|
| ``health:events`` | STREAM, the last events of all nodes: backend → its `Batch`, as JSON |
| ``health`` | HASH: backend → `State` after its last change, and the event's id; for who starts |

Answers are told as long as a backend is suspected: a minute begins with its first failure, and
backends that are well cost nothing. Without Redis a node goes by what it sees itself. Redis stamps
the events and so is everybody's clock; how long a backend is out is drawn from the event's id, so
nodes need not talk about it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis

from sidecar.model import Out, Snapshot
from sidecar.telemetry.ejection import Batch, Change, Ejector, Moment, State
from sidecar.telemetry.outcome import FailedAttempt, Outcome

INTERVAL = 0.2
TIMEOUT = 0.5
KEPT_EVENTS = 5000
KEPT_SECONDS = 86400
_MOST = 1000
"""Events that are read at once."""
_BEGINNING = "0-0"

_encode = msgspec.json.Encoder().encode
_read_events = msgspec.json.Decoder(dict[str, Batch]).decode
_log = structlog.get_logger()


class _Kept(msgspec.Struct):
    state: State
    event: str


_read_kept = msgspec.json.Decoder(_Kept).decode


class SharedEjections:
    """This node's part. ``on_change``: is told of each change, not of those before the start."""

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        on_change: Callable[[Change], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.up = False
        """Whether the last exchange with Redis went well."""
        self.out: Mapping[str, Out] = {}
        self._redis = redis
        self._hash, self._stream = f"{prefix}health", f"{prefix}health:events"
        self._on_change = on_change
        self._clock = clock
        self._ahead = 0.0
        """Redis' clock by this node's, in seconds."""
        self._ejector = Ejector()
        self._ready = False
        self._waiting: dict[str, Batch] = {}
        self._unwritten: dict[str, Batch] = {}
        """What is just being written."""
        self._changes: list[Change] = []
        self._last = ""
        """The last event that was read; empty before the first exchange."""
        self._known: dict[str, str] = {}
        """Backend → the event that its stored state has seen."""

    def use(self, snapshot: Snapshot) -> None:
        """Know the backends of ``snapshot``."""
        backends = snapshot.backends.values()
        rules = {one.name: one.ejection for one in backends if one.enabled and one.ejection}
        self._ejector.use(rules)
        self._ready = True
        self._waiting = {name: each for name, each in self._waiting.items() if name in rules}

    def attempt(self, attempt: FailedAttempt) -> None:
        """Take a failed attempt.

        A 404 says that there is no such model: a request that failed open at an Envoy of one's
        own carries the client's name for it, and that it did so is not in the log of attempts.
        """
        if attempt.blamed and not attempt.undecided and attempt.code != "404":
            self._waiting.setdefault(attempt.backend, Batch()).fail(attempt.wait_s)

    def outcome(self, outcome: Outcome) -> None:
        """Take an answer."""
        if outcome.answered and not outcome.undecided:
            self._waiting.setdefault(outcome.backend, Batch()).succeed()

    async def run(self, publish: Callable[[], None]) -> None:
        """Exchange every INTERVAL until cancelled; ``publish``: called when ``out`` is new."""
        while True:
            before = self.out
            await self.tick()
            if self.out != before:
                publish()
            await asyncio.sleep(INTERVAL)

    async def tick(self) -> None:
        """Exchange once with Redis. Nothing is raised; ``up`` says how it went."""
        if not self._ready:
            return
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._exchange()
            self._set_up(up=True)
        except Exception as error:  # noqa: BLE001 - whatever a client raises: requests go on
            self._set_up(up=False, why=repr(error))
            alone, self._unwritten = self._unwritten or self._swap(), {}
            self._take(alone, self._now(), f"{self._now():.6f}")
        self.out = self._ejector.out(self._now())
        changes, self._changes = self._changes, []
        for change in changes:
            self._on_change(change)

    async def _exchange(self) -> None:
        """Write what waits and take what everybody wrote."""
        if not self.up:
            seconds, micros = await self._redis.time()
            self._ahead = seconds + micros / 1e6 - self._clock()
        if not self._last:
            await self._learn()
            await self._read()
            self._changes = []  # before the start
        await self._read()
        self._unwritten = self._swap()
        if self._unwritten:
            await self._write(self._unwritten)
            self._unwritten = {}
            await self._read()
        await self._store(self._changes)

    def _swap(self) -> dict[str, Batch]:
        waiting, self._waiting = self._waiting, {}
        now = self._now()
        return {
            name: batch
            for name, batch in waiting.items()
            if batch.failed or self._ejector.suspects(name, now)
        }

    async def _write(self, batches: Mapping[str, Batch]) -> None:
        fields = {"e": _encode(batches)}
        pipe = self._redis.pipeline(transaction=False)
        pipe.xadd(self._stream, fields, maxlen=KEPT_EVENTS, approximate=True)  # type: ignore[arg-type]
        pipe.expire(self._stream, KEPT_SECONDS)
        await pipe.execute()

    async def _read(self) -> None:
        while True:
            found: Any = await self._redis.xrange(
                self._stream, _after(self._last), "+", count=_MOST
            )
            for event, fields in found:
                self._hear(_text(event), fields)
            if len(found) < _MOST:
                return

    async def _learn(self) -> None:
        """Take over the states that others have stored."""
        for field, value in (await self._redis.hgetall(self._hash)).items():
            try:
                kept = _read_kept(value)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            self._known[_text(field)] = kept.event
            self._ejector.learn(_text(field), kept.state)
        self._last = _BEGINNING

    def _hear(self, event: str, fields: Mapping[bytes, bytes]) -> None:
        self._last = event
        try:
            batches = _read_events(fields.get(b"e", b"{}"))
        except (msgspec.DecodeError, UnicodeDecodeError):
            _log.debug("health_event_ignored", id=event)
            return
        place = _place(event)
        unseen = {
            name: batch
            for name, batch in batches.items()
            if place > _place(self._known.get(name, _BEGINNING))
        }
        self._take(unseen, place[0] / 1000, event)

    def _take(self, batches: Mapping[str, Batch], now: float, event: str) -> None:
        for name, batch in batches.items():
            change = self._ejector.take(name, batch, Moment(now, _uniform(event, name)))
            if change is not None:
                self._changes.append(change)

    async def _store(self, changes: list[Change]) -> None:
        """Store states that changed: each node does so, with the same values."""
        if not changes:
            return
        states = self._ejector.states
        kept = {
            each.backend: _encode(_Kept(states[each.backend], self._last))
            for each in changes
            if each.backend in states
        }
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(self._hash, mapping=kept)  # type: ignore[arg-type]
        pipe.expire(self._hash, KEPT_SECONDS)
        await pipe.execute()

    def _now(self) -> float:
        return self._clock() + self._ahead

    def _set_up(self, *, up: bool, why: str = "") -> None:
        if up and not self.up:
            _log.info("health_shared")
        if self.up and not up:
            _log.warning("health_not_shared", why=why)
        self.up = up


def _uniform(event: str, backend: str) -> float:
    """Return a number in [0, 1) that is the same on all nodes."""
    digest = blake2b(f"{event} {backend}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def _place(event: str) -> tuple[int, int]:
    milliseconds, _, number = event.partition("-")
    return int(milliseconds), int(number)


def _after(event: str) -> str:
    """Return the first id behind ``event``: Redis before 6.2 has no open ranges."""
    milliseconds, number = _place(event)
    return f"{milliseconds}-{number + 1}"


def _text(data: Any) -> str:
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)
