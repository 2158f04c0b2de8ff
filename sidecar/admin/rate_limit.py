"""So many requests per caller and second, with a burst: a token bucket each (RFC 2697's idea)."""

import time
from collections import OrderedDict
from collections.abc import Callable

BURST_SECONDS = 5.0
MOST_CALLERS = 10_000


class RateLimit:
    """Per process. A caller that was not seen for long is forgotten: its bucket is full by then."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, caller: str) -> float:
        """Count one request. Returns 0, or for how many seconds the caller has to wait."""
        now, most = self._clock(), max(1.0, self._rate * BURST_SECONDS)
        tokens, before = self._buckets.get(caller, (most, now))
        tokens = min(most, tokens + (now - before) * self._rate)
        allowed = tokens >= 1
        self._buckets[caller] = (tokens - 1 if allowed else tokens, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self._rate
