"""What each backend did lately: sums in time buckets, which add up over nodes.

What counts:

- A request of a backend is an attempt at it on a decided path: an error behind a successful
  fallback is a request and an error of the backend that failed. Undecided paths do not count.
- An error is an attempt without a whole answer (refused, timeout, reset, cut), a status of 500 or
  more, and 401, 402, 403, 404, 408, 425, 429: there the backend (its key, its model, its quota)
  is at fault, and another one may answer. Other 4xx say that the request is wrong: they are
  requests without an error.
- Latency, time to first token and tokens per second are those of successful attempts only. A
  client that left gives no latency; its stream's first token counts.
"""

from collections.abc import Iterable, Mapping
from operator import add

import msgspec

from sidecar.model import Backend, BackendStats, Stats, Window, WindowStats
from sidecar.telemetry.outcome import FailedAttempt, Outcome
from sidecar.telemetry.usage import cost_usd

SPANS: Mapping[Window, tuple[int, int]] = {"1m": (5, 12), "15m": (60, 15), "1h": (300, 12)}
"""Window → width of a bucket in seconds, number of buckets."""

_ONE_PIECE_US = 1000


class Sums(msgspec.Struct, frozen=True, array_like=True):
    """Sums over requests. Whole numbers, so that merging is exact in any order.

    ``generated`` tokens took ``generating_us``; their ratio is the speed, in which a long answer
    weighs more than a short one, that says little about speed.
    """

    requests: int = 0
    errors: int = 0
    latencies: int = 0
    latency_us: int = 0
    ttfts: int = 0
    ttft_us: int = 0
    generated: int = 0
    generating_us: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*map(add, msgspec.structs.astuple(self), msgspec.structs.astuple(other)))


Totals = Mapping[str, Mapping[Window, Sums]]
"""Backend → window → sums. A window without requests may be absent."""

_Row = tuple[int, ...]
_NOTHING: _Row = msgspec.structs.astuple(Sums())


class _Backend:
    """The buckets of one backend: for each window those that are not empty, by number."""

    __slots__ = ("rings", "total")

    def __init__(self) -> None:
        self.total = _NOTHING
        self.rings: dict[Window, dict[int, _Row]] = {window: {} for window in SPANS}

    def add(self, row: _Row, now: float) -> None:
        self.total = tuple(map(add, self.total, row))
        for window, (width, count) in SPANS.items():
            ring, number = self.rings[window], int(now // width)
            if number not in ring:
                for old in [each for each in ring if each <= number - count]:
                    del ring[old]
            ring[number] = tuple(map(add, ring.get(number, _NOTHING), row))

    def sums(self, now: float) -> dict[Window, Sums]:
        found: dict[Window, Sums] = {"total": Sums(*self.total)}
        for window, (width, count) in SPANS.items():
            oldest = int(now // width) - count
            rows = [row for number, row in self.rings[window].items() if number > oldest]
            if rows:
                found[window] = Sums(*map(sum, zip(*rows, strict=True)))
        return found


class Windows:
    """The windows of this node. ``now`` is any clock in seconds that does not go back."""

    def __init__(self) -> None:
        self._backends: dict[str, _Backend] = {}
        self._configured: Mapping[str, Backend] = {}
        self.revision = 0
        """Rises with everything that is added."""

    def add(self, outcome: Outcome, now: float) -> None:
        """Add a request; what failed in it comes as attempts."""
        if outcome.backend and not outcome.undecided:
            row = row_of(outcome, self._configured.get(outcome.backend))
            if row != _NOTHING:
                self._add(outcome.backend, row, now)

    def add_attempt(self, attempt: FailedAttempt, now: float) -> None:
        """Add a failed attempt."""
        if not attempt.undecided:
            errors = 1 if attempt.blamed else 0
            self._add(attempt.backend, (1, errors, *_NOTHING[2:]), now)

    def totals(self, now: float) -> dict[str, dict[Window, Sums]]:
        """Return the sums of all windows as they are at ``now``."""
        return {name: backend.sums(now) for name, backend in self._backends.items()}

    def use(self, backends: Mapping[str, Backend]) -> None:
        """Take prices from these backends, and forget those that are not among them."""
        self._configured = backends
        self._backends = {n: backend for n, backend in self._backends.items() if n in backends}

    def _add(self, name: str, row: _Row, now: float) -> None:
        backend = self._backends.get(name)
        if backend is None:
            backend = self._backends[name] = _Backend()
        backend.add(row, now)
        self.revision += 1


def merge(parts: Iterable[Totals]) -> dict[str, dict[Window, Sums]]:
    """Return the sums over all parts."""
    merged: dict[str, dict[Window, Sums]] = {}
    for part in parts:
        for name, windows in part.items():
            found = merged.setdefault(name, {})
            for window, sums in windows.items():
                found[window] = found[window] + sums if window in found else sums
    return merged


def view(merged: Totals, in_flight: Mapping[str, int], unready: Iterable[str]) -> Stats:
    """Return what decisions may read: means instead of sums."""
    backends = {
        name: BackendStats(
            windows={window: _means(sums) for window, sums in merged.get(name, {}).items()},
            in_flight=in_flight.get(name, 0),
        )
        for name in sorted({*merged, *in_flight})
    }
    return Stats(backends=backends, unready=frozenset(unready))


def row_of(outcome: Outcome, backend: Backend | None) -> tuple[int, ...]:
    """Return what a request adds, in the order of the fields of `Sums`.

    ``backend``: that of the last attempt, for its price; unknown ones cost nothing.
    """
    tokens, left = outcome.tokens, outcome.client_gone and not outcome.status
    latencies = latency_us = ttfts = ttft_us = generated = generating_us = 0
    if outcome.answered and outcome.stream and outcome.ttft_s is not None:
        ttfts, ttft_us = 1, round(outcome.ttft_s * 1e6)
    if outcome.answered and not outcome.client_gone and outcome.upstream_s is not None:
        latencies, latency_us = 1, round(outcome.upstream_s * 1e6)
        if tokens.output and not tokens.partial:
            generated, generating_us = tokens.output, _generating_us(latency_us, ttft_us)
    cost = 0.0 if backend is None else cost_usd(tokens, backend.price_at(outcome.started))
    return (
        *(1 if outcome.answered or left else 0, 0),
        *(latencies, latency_us, ttfts, ttft_us, generated, generating_us),
        *(tokens.input or 0, tokens.output or 0, round(cost * 1e9)),
    )


def _generating_us(latency_us: int, ttft_us: int) -> int:
    """Return the time in which tokens came: that after the first, if they came one by one.

    ``ttft_us`` is 0 when the answer was no stream, and a stream that came in one piece tells no
    more than a whole answer does.
    """
    streamed = latency_us - ttft_us
    return streamed if streamed > _ONE_PIECE_US else latency_us


def _means(sums: Sums) -> WindowStats:
    return WindowStats(
        requests=sums.requests,
        errors=sums.errors,
        latency_ms=sums.latency_us / sums.latencies / 1e3 if sums.latencies else None,
        ttft_ms=sums.ttft_us / sums.ttfts / 1e3 if sums.ttfts else None,
        tokens_per_second=sums.generated / sums.generating_us * 1e6 if sums.generating_us else None,
        input_tokens=sums.input_tokens,
        output_tokens=sums.output_tokens,
    )
