"""Sums of arms as many requests would have left them."""

from sidecar.evidence import Moments
from sidecar.telemetry.experiments import PARTS, ArmStats, Measured


def arm(n, errors=0, *, latency=None, units=True):
    """Return the sums of ``n`` requests, each by a unit of its own, ``errors`` of them failed."""
    share = n / PARTS
    spread = [share + (1 if place % 2 else -1) * share**0.5 for place in range(PARTS)]
    parts = {place: Moments(each) for place, each in enumerate(spread)} if units and n else {}
    rate = Measured(Moments(n, errors, errors), parts=parts)
    metrics = {"error_rate": rate}
    if latency is not None:
        metrics["latency_ms"] = measured(latency)
    return ArmStats(n, n, metrics, {"error_rate": Measured(Moments(n, errors, errors))})


def measured(values):
    """Return the sums of single values, with their histogram."""
    found = Measured()
    for value in values:
        found.moments.add(value)
        found.histogram.add(value)
    return found
