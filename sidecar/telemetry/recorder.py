"""Where access logs end: each outcome goes to the metrics and to the windows."""

import time
from collections.abc import Callable, Sequence

from sidecar.telemetry.metrics import BROKEN, Metrics
from sidecar.telemetry.outcome import FailedAttempt, Outcome
from sidecar.telemetry.windows import Windows


class Recorder:
    """A `Sink`. ``clock`` must be that of whoever asks ``windows`` for totals.

    ``listeners`` are told of each outcome as well, ``attempt_listeners`` of each failed attempt;
    they must be quick, and must not raise.
    """

    def __init__(
        self,
        metrics: Metrics,
        windows: Windows,
        clock: Callable[[], float] = time.monotonic,
        listeners: Sequence[Callable[[Outcome], None]] = (),
        attempt_listeners: Sequence[Callable[[FailedAttempt], None]] = (),
    ) -> None:
        self._listeners = listeners
        self._attempt_listeners = attempt_listeners
        self._metrics = metrics
        self._windows = windows
        self._clock = clock

    def outcome(self, outcome: Outcome) -> None:
        """Record what came of one request."""
        self._metrics.outcome(outcome)
        self._windows.add(outcome, self._clock())
        for listen in self._listeners:
            listen(outcome)

    def attempt(self, attempt: FailedAttempt) -> None:
        """Record one failed attempt."""
        self._metrics.attempt(attempt)
        self._windows.add_attempt(attempt, self._clock())
        for listen in self._attempt_listeners:
            listen(attempt)

    def broken(self) -> None:
        """Count an entry that could not be read."""
        self._metrics.error(BROKEN)
