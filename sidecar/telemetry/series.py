"""What each backend of this node did in the last hour, in steps of 10 seconds.

What counts is what `windows` says: a request of a backend is an attempt at it. Of the steps of the
last minute the values themselves are counted, as quantiles of several steps need them; a step that
is older is eight numbers. A backend takes 23 kB for its hour, however much traffic it has, plus the
buckets of its last minute.

Rows are by name, and a backend that the rules have no more keeps its own until its hour is over.
"""

import math
import time
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from sidecar.evidence.histogram import Histogram
from sidecar.model import Backend
from sidecar.telemetry.outcome import FailedAttempt, Outcome, is_blamed
from sidecar.telemetry.windows import Sums, row_of

STEP_SECONDS = 10
STEPS = 360
MOST_BACKENDS = 2000
"""Rows; a further backend takes the place of the one that is silent for longest."""

COUNTS = ("requests", "errors", "tokens")
FIELDS = (
    *COUNTS,
    "cost_usd",
    *("ttft_ms_p50", "ttft_ms_p95", "latency_ms_p50", "latency_ms_p95"),
)
"""Of a step, in the order in which they are kept. Quantiles are NaN where nothing was timed."""

_MINUTE_STEPS = 6
_RING = STEPS + 1
"""The steps of an hour that are over, and the one that is not."""
_WIDTH = len(FIELDS)
_NOTHING = array("d", [0.0] * 4 + [math.nan] * 4)


class Quantiles(NamedTuple):
    """In milliseconds; ``None`` where nothing was timed."""

    p50: float | None
    p95: float | None


class Minute(NamedTuple):
    """What the last minute took, up to now."""

    ttft_ms: Quantiles
    latency_ms: Quantiles


class Columns(NamedTuple):
    """Steps that are over: ``times`` are Unix seconds at which they began, ascending.

    ``backends``: name → field → a value per step. ``clients``: the same of requests as clients saw
    them, whichever backend answered. ``left_out``: how many backends are not listed.
    """

    times: list[int]
    backends: dict[str, dict[str, list[float]]]
    clients: dict[str, list[float]]
    left_out: int


class _Step:
    """The figures of one step of which the values are still counted."""

    __slots__ = ("cost_usd", "errors", "latency", "number", "requests", "tokens", "ttft")

    def __init__(self, number: int) -> None:
        self.number = number
        self.requests = self.errors = self.tokens = 0
        self.cost_usd = 0.0
        self.ttft, self.latency = Histogram(), Histogram()

    def figures(self) -> "array[float]":
        """Return what is kept of the step, in the order of FIELDS."""
        quantiles = [
            one.quantile(level) for one in (self.ttft, self.latency) for level in (0.5, 0.95)
        ]
        return array("d", [self.requests, self.errors, self.tokens, self.cost_usd, *quantiles])


class _Row:
    """The hour of one backend."""

    __slots__ = ("last", "ring", "steps")

    def __init__(self, number: int) -> None:
        self.ring = _NOTHING * _RING
        self.steps: list[_Step] = []
        """Of the last minute, those in which anything happened."""
        self.last = number
        """The last step in which anything happened."""

    def step(self, number: int) -> _Step:
        """Return the step that is being counted."""
        if not self.steps or self.steps[-1].number != number:
            self.steps.append(_Step(number))
            self.last = number
        return self.steps[-1]

    def advance(self, before: int, number: int) -> None:
        """Close step ``before`` and go on with ``number``."""
        for passed in range(max(before + 1, number - STEPS), number + 1):
            self._put(passed, _NOTHING)
        if self.steps and self.steps[-1].number == before and number - before <= STEPS:
            self._put(before, self.steps[-1].figures())
        if self.steps:
            self.steps = [one for one in self.steps if one.number > number - _MINUTE_STEPS]

    def column(self, field: int, first: int, count: int) -> list[float]:
        """Return a field of ``count`` steps from ``first`` on."""
        start, end = first % _RING, first % _RING + count
        values = self.ring[field::_WIDTH][start:end]
        if end > _RING:
            values += self.ring[field::_WIDTH][: end - _RING]
        return values.tolist()

    def minute(self) -> Minute:
        """Return the quantiles of the last minute."""
        return Minute(
            _quantiles([one.ttft for one in self.steps]),
            _quantiles([one.latency for one in self.steps]),
        )

    def _put(self, number: int, figures: "array[float]") -> None:
        at = number % _RING * _WIDTH
        self.ring[at : at + _WIDTH] = figures


class TrafficSeries:
    """Takes outcomes and failed attempts, each when it is known. ``clock``: Unix time in seconds.

    A clock that goes back stands still here until it has caught up.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._number = self._first = int(clock() // STEP_SECONDS)
        self._rows: dict[str, _Row] = {}
        self._clients = _Row(self._number)
        self._configured: Mapping[str, Backend] = {}

    def use(self, backends: Mapping[str, Backend]) -> None:
        """Take prices from these backends; what was counted stays."""
        self._configured = backends

    def outcome(self, outcome: Outcome) -> None:
        """Add what came of one request."""
        if outcome.undecided:
            return
        sums = Sums(*row_of(outcome, self._configured.get(outcome.backend)))
        self._advance()
        self._add_client(outcome, sums)
        if outcome.backend and sums != Sums():
            step = self._row(outcome.backend).step(self._number)
            _count(step, sums)
            if sums.ttfts:
                step.ttft.add(sums.ttft_us / 1e3)
            if sums.latencies:
                step.latency.add(sums.latency_us / 1e3)

    def attempt(self, attempt: FailedAttempt) -> None:
        """Add one failed attempt."""
        if not attempt.undecided:
            self._advance()
            step = self._row(attempt.backend).step(self._number)
            step.requests += 1
            step.errors += attempt.blamed

    def minute(self) -> dict[str, Minute]:
        """Return the quantiles of the last minute, of each backend that has any."""
        self._advance()
        return {name: row.minute() for name, row in self._rows.items() if row.steps}

    def all_backends(self) -> Minute:
        """Return the quantiles of the last minute over all backends."""
        self._advance()
        steps = [one for row in self._rows.values() for one in row.steps]
        return Minute(
            _quantiles([one.ttft for one in steps]), _quantiles([one.latency for one in steps])
        )

    def step(self) -> int:
        """Return the number of the step that is not over yet: `columns` change when it does."""
        self._advance()
        return self._number

    def columns(self, steps: int, most: int, names: Collection[str] = ()) -> Columns:
        """Return the last ``steps`` (up to STEPS) that are over, none from before the start.

        Of the backends that are asked for by ``names``, else of the ``most`` busiest ones; those
        without any traffic are not listed.
        """
        self._advance()
        first = max(self._number - min(steps, STEPS), self._first)
        count = self._number - first
        asked = [name for name in names if name in self._rows] if names else [*self._rows]
        weights = {name: sum(self._rows[name].column(0, first, count)) for name in asked}
        busy = sorted((name for name in asked if weights[name]), key=lambda name: -weights[name])
        return Columns(
            times=[number * STEP_SECONDS for number in range(first, self._number)],
            backends={n: dict(_columns(self._rows[n], first, count)) for n in busy[:most]},
            clients=dict(_columns(self._clients, first, count)),
            left_out=max(0, len(busy) - most),
        )

    def _add_client(self, outcome: Outcome, sums: Sums) -> None:
        """Add the whole request: its time is the client's, with all attempts and the decision."""
        step = self._clients.step(self._number)
        # A refusal is the client's fault, unless there was nothing to try.
        blamed = is_blamed(outcome) and (outcome.error_code is None or outcome.status >= 500)
        left = outcome.client_gone and not outcome.status
        _count(step, sums)
        step.requests += 1 - sums.requests
        step.errors += blamed and not left
        if sums.ttfts and outcome.ttft_s is not None:
            before = outcome.duration_s - (outcome.upstream_s or outcome.duration_s)
            step.ttft.add(max(0.0, before + outcome.ttft_s) * 1e3)
        if sums.latencies:
            step.latency.add(max(0.0, outcome.duration_s) * 1e3)

    def _row(self, name: str) -> _Row:
        row = self._rows.get(name)
        if row is None:
            if len(self._rows) >= MOST_BACKENDS:
                del self._rows[min(self._rows, key=lambda name: self._rows[name].last)]
            row = self._rows[name] = _Row(self._number)
        return row

    def _advance(self) -> None:
        number = int(self._clock() // STEP_SECONDS)
        before = self._number
        if number <= before:
            return
        self._clients.advance(before, number)
        for row in self._rows.values():
            row.advance(before, number)
        oldest = number - STEPS
        self._rows = {name: row for name, row in self._rows.items() if row.last >= oldest}
        self._number = number


def _count(step: _Step, sums: Sums) -> None:
    step.requests += sums.requests
    step.tokens += sums.input_tokens + sums.output_tokens
    step.cost_usd += sums.cost_nano_usd / 1e9


def _columns(row: _Row, first: int, count: int) -> Iterator[tuple[str, list[float]]]:
    for place, field in enumerate(FIELDS):
        values = row.column(place, first, count)
        if field in COUNTS:
            yield field, [int(value) for value in values]
        else:
            yield field, [round(value, 9 if field == "cost_usd" else 3) for value in values]


def _quantiles(parts: list[Histogram]) -> Quantiles:
    counts: dict[int, float] = {}
    for part in parts:
        for place, count in part.counts.items():
            counts[place] = counts.get(place, 0) + count
    if not counts:
        return Quantiles(None, None)
    whole = Histogram(counts)
    return Quantiles(round(whole.quantile(0.5), 3), round(whole.quantile(0.95), 3))
