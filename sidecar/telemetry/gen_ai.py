"""The four histograms of OpenTelemetry's conventions for generative AI (status: Development).

Names, labels and buckets: open-telemetry/semantic-conventions-genai; the buckets of the time to
first token go on to 60 s, as Envoy AI Gateway's do, and `cached_input` is its token type too.
"""

from collections.abc import Mapping

from sidecar.model import Backend
from sidecar.telemetry.labels import OTHER, Names, histogram
from sidecar.telemetry.outcome import Outcome

TOKEN_BUCKETS = tuple(4.0**power for power in range(14))
DURATION_BUCKETS = tuple(0.01 * 2**power for power in range(14))
TTFT_BUCKETS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0),
)
TPOT_BUCKETS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)

OPERATIONS = {
    "chat": "chat",
    "responses": "chat",
    "messages": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
}
_TOKEN_TYPES = ("input", "output", "cached_input")
_Labels = tuple[str, str, str, str]


class GenAi:
    """Requests of known operations that reached a backend, by the model that was asked."""

    def __init__(self) -> None:
        self._providers, self._models = Names(), Names()
        self._backends: Mapping[str, Backend] = {}
        self._labels: dict[tuple[str, str], _Labels] = {}

        labels = {
            "gen_ai_operation_name": Names(*OPERATIONS.values()),
            "gen_ai_provider_name": self._providers,
            "gen_ai_request_model": self._models,
            "gen_ai_response_model": self._models,
        }
        self._tokens = histogram(
            "gen_ai_client_token_usage",
            "Tokens of a request as the provider bills them; cached_input is a part of input.",
            labels | {"gen_ai_token_type": Names(*_TOKEN_TYPES)},
            TOKEN_BUCKETS,
        )
        self._duration = histogram(
            "gen_ai_server_request_duration_seconds",
            "Whole request with all its attempts; error_type is empty when it went well.",
            labels | {"error_type": Names(learn=True)},
            DURATION_BUCKETS,
        )
        self._ttft = histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "Streams: from the start of the attempt that answered to the body's first byte.",
            labels,
            TTFT_BUCKETS,
        )
        self._tpot = histogram(
            "gen_ai_server_time_per_output_token_seconds",
            "Streams: time per output token after the first, in the attempt that answered.",
            labels,
            TPOT_BUCKETS,
        )
        self.series = (self._tokens, self._duration, self._ttft, self._tpot)

    def use(self, backends: Mapping[str, Backend]) -> None:
        """Take models and providers from these backends."""
        self._backends = backends
        self._labels.clear()
        providers = self._providers.use(each.provider for each in backends.values())
        models = self._models.use(each.model for each in backends.values())
        for names, (changed, dropped) in ((self._providers, providers), (self._models, models)):
            for series in self.series if changed else ():
                series.refresh(names, dropped)

    def observe(self, outcome: Outcome) -> None:
        """Record one request. What was not counted or timed is left out, not guessed."""
        operation = OPERATIONS.get(outcome.operation)
        if operation is None or not outcome.backend:
            return
        labels = self._labels.get((outcome.backend, operation))
        if labels is None:
            labels = self._labels_of(outcome.backend, operation)
        self._duration.of(*labels, error_type(outcome)).observe(outcome.duration_s)
        tokens = outcome.tokens
        if tokens.input is not None:
            self._tokens.of(*labels, "input").observe(tokens.input)
        if tokens.output is not None:
            self._tokens.of(*labels, "output").observe(tokens.output)
        if tokens.cached:
            self._tokens.of(*labels, "cached_input").observe(tokens.cached)
        if outcome.stream and outcome.ttft_s is not None and outcome.status < 400:
            self._ttft.of(*labels).observe(outcome.ttft_s)
            per_token = time_per_output_token(outcome)
            if per_token is not None:
                self._tpot.of(*labels).observe(per_token)

    def _labels_of(self, name: str, operation: str) -> _Labels:
        backend = self._backends.get(name)
        if backend is None:
            return (operation, OTHER, OTHER, OTHER)
        labels = (operation, backend.provider, backend.model, backend.model)
        self._labels[name, operation] = labels
        return labels


def error_type(outcome: Outcome) -> str:
    """Return OpenTelemetry's `error.type`, empty when there was no error."""
    if outcome.client_gone:
        return "client_gone"
    if outcome.failure is not None:
        return outcome.failure
    return str(outcome.status) if outcome.status >= 400 else ""


def time_per_output_token(outcome: Outcome) -> float | None:
    """Return (duration - ttft) / (output tokens - 1), as Envoy AI Gateway defines it.

    Both times are those of the attempt that answered: what failed before it generated nothing.
    """
    tokens = outcome.tokens.output
    if outcome.upstream_s is None or outcome.ttft_s is None or tokens is None or tokens < 2:
        return None
    return max(0.0, outcome.upstream_s - outcome.ttft_s) / (tokens - 1)
