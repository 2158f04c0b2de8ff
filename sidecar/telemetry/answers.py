"""What backends answered, by the backend's name: several of them may serve the same model."""

from collections.abc import Iterable
from itertools import islice

from sidecar.telemetry.exposition import Counter, Histogram
from sidecar.telemetry.labels import Names, Series, counter, histogram
from sidecar.telemetry.outcome import Outcome

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Few, since there may be a thousand backends; the model's histograms are finer."""
_TYPES = ("input", "output", "cached_input")
_PREPARED = 2000


class Answers:
    """Times and tokens of attempts that a backend answered well, ``backends``: its label."""

    def __init__(self, backends: Names) -> None:
        labels = {"backend": backends}
        self._seconds = histogram(
            "pointsman_answer_seconds",
            "Answers that came whole: from the start of the attempt to the last byte.",
            labels,
            BOUNDS,
        )
        self._first = histogram(
            "pointsman_answer_first_token_seconds",
            "Streams: from the start of the attempt to the first byte of the body.",
            labels,
            BOUNDS,
        )
        self._tokens = counter(
            "pointsman_tokens",
            "Tokens as the provider bills them; cached_input is a part of input.",
            labels | {"type": Names(*_TYPES)},
        )
        self.series: list[Series[Counter] | Series[Histogram]] = [
            self._seconds,
            self._first,
            self._tokens,
        ]

    def prepare(self, backends: Iterable[str]) -> None:
        """Make the counters at 0."""
        pairs = ((name, kind) for name in backends for kind in _TYPES)
        self._tokens.prepare(islice(pairs, _PREPARED))

    def observe(self, outcome: Outcome) -> None:
        """Count a request that reached a backend; what was not timed or counted is left out."""
        backend, tokens = outcome.backend, outcome.tokens
        counts = (tokens.input, tokens.output, tokens.cached)
        for kind, count in zip(_TYPES, counts, strict=True):
            if count:
                self._tokens.of(backend, kind).inc(count)
        if not outcome.answered or outcome.status >= 400:
            return
        if outcome.stream and outcome.ttft_s is not None:
            self._first.of(backend).observe(outcome.ttft_s)
        if outcome.upstream_s is not None and not outcome.client_gone:
            self._seconds.of(backend).observe(outcome.upstream_s)
