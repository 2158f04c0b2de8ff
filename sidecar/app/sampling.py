"""Whether requests are traced, and which: OpenTelemetry's own variables say so."""

from collections.abc import Mapping

from sidecar.errors import SettingsError
from sidecar.model import Sampling

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SAMPLER, ARGUMENT = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
SAMPLERS = {
    "always_on": Sampling(1.0, follow=False),
    "always_off": None,
    "traceidratio": Sampling(1.0, follow=False),
    "parentbased_always_on": Sampling(1.0),
    "parentbased_always_off": Sampling(0.0),
    "parentbased_traceidratio": Sampling(1.0),
}


def sampling(environ: Mapping[str, str]) -> Sampling | None:
    """Return which requests are traced; ``None``: none, and nothing of traces is done.

    Raises SettingsError, naming the variable and the legal values.
    """
    if not any(environ.get(name) for name in ENDPOINTS):
        return None
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if environ.get("OTEL_TRACES_EXPORTER", "otlp") == "none":
        return None
    name = (environ.get(SAMPLER) or "parentbased_always_on").lower()
    if name not in SAMPLERS:
        raise SettingsError(f"{SAMPLER}={name!r}; legal: {', '.join(SAMPLERS)}")
    chosen = SAMPLERS[name]
    if chosen is None or not name.endswith("traceidratio"):
        return chosen
    return chosen._replace(ratio=_ratio(environ.get(ARGUMENT) or "1"))


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise SettingsError(f"{ARGUMENT}={text!r}; legal: 0 to 1")
    return ratio
