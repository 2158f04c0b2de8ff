"""What `Metrics` renders, read back; and outcomes to feed it with."""

from prometheus_client.parser import text_string_to_metric_families as parse

from sidecar.telemetry.outcome import Usage

ANSWER = {
    "decision_id": "019a",
    "route": "premium",
    "strategy": "fallback/optimized",
    "operation": "chat",
    "plan": ("small", "large"),
    "backend": "small",
    "attempts": 1,
    "status": 200,
    "duration_s": 0.25,
    "upstream_s": 0.24,
    "tokens": Usage(10, 5),
}
STREAM = ANSWER | {"stream": True, "ttft_s": 0.04}
DECISION = {"route": "premium", "strategy": "fallback/optimized"}
NOTHING = {"route": "none", "strategy": "none"}
SMALL_CHAT = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "openai",
    "gen_ai_request_model": "small-model",
    "gen_ai_response_model": "small-model",
}


def samples(metrics):
    """Return all samples by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(metrics.render()[0].decode())
        for sample in family.samples
    }


def value(metrics, name, **labels):
    return samples(metrics).get((name, frozenset(labels.items())))


def values(metrics, name):
    """Return the samples of a name that are not 0, by their label values in order of names."""
    return {
        tuple(text for _, text in sorted(labels)): number
        for (found, labels), number in samples(metrics).items()
        if found == name and number
    }
