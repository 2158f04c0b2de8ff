"""Sums of arms as tests need them, without drawing anything."""

from sidecar.config.experiment_metrics import BUILT_IN, built_in
from sidecar.evidence import Moments
from sidecar.evidence.histogram import bucket
from sidecar.model import Arm, Experiment, Metric, Rollout, RolloutGuard
from sidecar.report import Learned, build
from sidecar.telemetry.experiments import parse

NOW = 1_795_233_600.0
THUMBS = Metric("thumbs", "proportion", "increase", "thumbs")
ARMS = (Arm("control", 80), Arm("canary", 20))
CANARY = Experiment(
    "checkout-canary",
    ARMS,
    version=3,
    state="running",
    metrics=(THUMBS, BUILT_IN["error_rate"], built_in("ttft_p95_ms")),
    rollout=Rollout(
        (5, 20, 50, 100),
        (RolloutGuard("error_rate", max_increase=0.01), RolloutGuard("ttft_p95_ms", max_ratio=1.2)),
    ),
)


def arm(name, requests, *, errors=0, ttft=100.0, thumbs=(0, 0), rescued=0):
    """Return the fields of one arm: ``thumbs`` are (up, all), ``rescued`` by another backend."""
    fields = {("assigned", "n"): requests, ("served", "n"): requests - rescued}
    fields |= _counted("metric:error_rate", requests, errors)
    fields |= _counted("served:error_rate", requests, errors + rescued)
    fields |= _counted("metric:thumbs", thumbs[1], thumbs[0]) if thumbs[1] else {}
    for scope, count in (("metric", requests - errors), ("served", requests - errors - rescued)):
        times = Moments()
        for number in range(count):
            value = ttft * (0.5 + number % 11 / 10)
            times.add(value)
            key = (f"{scope}:ttft_ms", f"b{bucket(value)}")
            fields[key] = fields.get(key, 0) + 1
        fields |= {
            (f"{scope}:ttft_ms", part): getattr(times, part) for part in times.__struct_fields__
        }
    return {f"{name}|{what}|{part}": value for (what, part), value in fields.items()}


def learned(experiment, *arms, record=None):
    return Learned.of(experiment, parse({k: v for each in arms for k, v in each.items()}), record)


def report(*arms, experiment=CANARY, **more):
    return build(experiment, learned(experiment, *arms), now=NOW, **more)


def _counted(what, n, hits):
    return {(what, "n"): n, (what, "total"): hits, (what, "squares"): hits, (what, "cubes"): hits}
