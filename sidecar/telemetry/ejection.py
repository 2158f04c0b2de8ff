"""When a backend is out: a state for each, made from what its attempts came to and nothing else.

A backend is in, until it fails so often in a row, or so large a share of a minute, as its
`Ejection` says. Then it is out, which nothing changes before its time is up. Then it is on trial:
the next answer takes it in, the next failure out again, for twice as long. Who was in again for
`max_seconds` begins anew. Times are Unix seconds of whoever stamps the events, so that all who see
the same events in the same order come to the same states.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import msgspec

from sidecar.model import Ejection, Out

JITTER = 0.25
"""A time out is up to this share longer, so that backends do not come back all at once."""
REASONS = CONSECUTIVE, ERROR_RATE, TRIAL, ASKED = (
    "consecutive_failures",
    "error_rate",
    "trial",
    "retry_after",
)
_WIDTH, _BUCKETS = 5, 12
_LONGEST_POWER = 30
_AGAIN = "; a trial failed"


class Batch(msgspec.Struct, array_like=True):
    """Attempts at one backend, in their order as far as that matters: how many failed before the
    first and behind the last success, and the longest row of failures between. ``wait``: the most
    seconds for which the backend asked to be left alone.
    """

    failed: int = 0
    succeeded: int = 0
    head: int = 0
    tail: int = 0
    longest: int = 0
    wait: float = 0.0

    def fail(self, wait: float = 0.0) -> None:
        """Add a failure."""
        self.wait = max(self.wait, wait)
        self.failed += 1
        self.tail += 1
        if not self.succeeded:
            self.head += 1
        self.longest = max(self.longest, self.tail)

    def succeed(self) -> None:
        """Add an answer."""
        self.succeeded += 1
        self.tail = 0


class State(msgspec.Struct):
    """Of one backend. ``run``: failures in a row. ``times``: how often it was out of late.

    ``until``: when its time out is over; 0 while it is in. ``back``: when it came back last.
    ``minute``: (requests, failures) by the number of the bucket.
    """

    run: int = 0
    times: int = 0
    until: float = 0.0
    back: float = 0.0
    why: str = ""
    minute: dict[int, tuple[int, int]] = {}


class Moment(NamedTuple):
    """When something was seen; ``uniform`` in [0, 1) draws how long a backend is out."""

    now: float
    uniform: float


class Change(NamedTuple):
    """A backend went ``out`` for one of `REASONS`, or came back; ``said`` is for people."""

    backend: str
    what: Literal["out", "back"]
    reason: str = ""
    said: str = ""


class Ejector:
    """The states of all backends that can be out."""

    def __init__(self) -> None:
        self._rules: Mapping[str, Ejection] = {}
        self.states: dict[str, State] = {}

    def use(self, rules: Mapping[str, Ejection]) -> None:
        """Know the backends that can be out, and forget all others."""
        self._rules = rules
        self.states = {name: state for name, state in self.states.items() if name in rules}

    def learn(self, backend: str, state: State) -> None:
        """Take over a state that another node has come to."""
        if backend in self._rules:
            self.states[backend] = state

    def take(self, backend: str, batch: Batch, moment: Moment) -> Change | None:
        """Take what came of attempts."""
        rules = self._rules.get(backend)
        if rules is None:
            return None
        state = self.states.setdefault(backend, State())
        was_in = not state.until
        change = self._change(backend, rules, state, batch, moment)
        if not _leave_alone(rules, state, batch, moment.now):
            return change
        said = f"out until {_clock(state.until)}: {state.why}"
        if change is not None and change.what == "out":
            return change._replace(said=said)
        return Change(backend, "out", ASKED, said) if was_in or change else None

    def _change(
        self,
        backend: str,
        rules: Ejection,
        state: State,
        batch: Batch,
        moment: Moment,
    ) -> Change | None:
        now = moment.now
        if not state.until:
            return self._take_in(backend, rules, state, batch, moment)
        if now < state.until or not (batch.failed or batch.succeeded):
            return None  # what was on its way when it went out
        if batch.tail:
            why = state.why.removesuffix(_AGAIN) + _AGAIN
            return _eject(backend, rules, state, TRIAL, why, moment)
        state.until, state.back = 0.0, now
        return Change(backend, "back", TRIAL, "it answers again")

    def _take_in(
        self,
        backend: str,
        rules: Ejection,
        state: State,
        batch: Batch,
        moment: Moment,
    ) -> Change | None:
        now = moment.now
        if state.times and now - state.back >= rules.max_seconds:
            state.times = 0
        longest = max(batch.longest, state.run + batch.head)
        state.run = batch.tail if batch.succeeded else state.run + batch.failed
        _count(state, batch, now)
        if not batch.failed:
            return None
        if longest >= rules.consecutive_failures:
            said = f"{longest} consecutive failures"
            return _eject(backend, rules, state, CONSECUTIVE, said, moment)
        requests, failed = map(sum, zip(*state.minute.values(), strict=True))
        if requests >= rules.min_requests and failed >= rules.error_rate * requests:
            said = f"{failed} of {requests} requests failed in a minute"
            return _eject(backend, rules, state, ERROR_RATE, said, moment)
        return None

    def suspects(self, backend: str, now: float) -> bool:
        """Tell whether it failed of late, so that its answers matter too."""
        state = self.states.get(backend)
        if state is None:
            return False
        return bool(state.until or state.run) or any(
            failed for number, (_, failed) in state.minute.items() if _lately(number, now)
        )

    def out(self, now: float) -> dict[str, Out]:
        """Return the backends that are out or on trial at ``now``."""
        return {
            name: _shown(name, state, self._rules[name], now)
            for name, state in self.states.items()
            if state.until
        }


def seconds_out(rules: Ejection, times: int, uniform: float) -> float:
    """Return how long a backend is out that was so ``times`` before, of late."""
    grown = rules.base_seconds * 2.0 ** min(times, _LONGEST_POWER)
    return min(rules.max_seconds, grown * (1 + JITTER * uniform))


def _eject(
    backend: str,
    rules: Ejection,
    state: State,
    reason: str,
    why: str,
    moment: Moment,
) -> Change:
    state.until = moment.now + seconds_out(rules, state.times, moment.uniform)
    state.times += 1
    state.run, state.minute, state.why = 0, {}, why
    return Change(backend, "out", reason, f"out until {_clock(state.until)}: {why}")


def _lately(number: int, now: float) -> bool:
    return 0 <= now // _WIDTH - number < _BUCKETS


def _leave_alone(rules: Ejection, state: State, batch: Batch, now: float) -> bool:
    """Keep it out for as long as it asked for; tell whether that is longer than without."""
    until = now + min(batch.wait, rules.max_seconds)
    if not batch.wait or until <= state.until:
        return False
    state.until, state.run, state.minute = until, 0, {}
    state.why = f"it asked to be left alone for {batch.wait:.0f} s"
    return True


def _count(state: State, batch: Batch, now: float) -> None:
    number = int(now // _WIDTH)
    requests, failed = state.minute.get(number, (0, 0))
    state.minute = {each: row for each, row in state.minute.items() if _lately(each, now)}
    state.minute[number] = (requests + batch.failed + batch.succeeded, failed + batch.failed)


def _shown(name: str, state: State, rules: Ejection, now: float) -> Out:
    if now < state.until:
        return Out(f"out until {_clock(state.until)}: {state.why}")
    round_ = int((now - state.until) // rules.base_seconds)
    said = f"on trial since {_clock(state.until)}: {state.why}"
    return Out(said, f"{name}:{state.until:.3f}:{round_}")


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%SZ")
