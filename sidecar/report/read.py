"""A report from what is in Redis."""

from collections.abc import Awaitable
from typing import Any, Protocol

from sidecar.model import Experiment
from sidecar.report.build import build
from sidecar.report.figures import Learned
from sidecar.report.report import Report
from sidecar.telemetry.experiments import Hashes, read
from sidecar.telemetry.stretches import load

MOST_EARLIER = 5
"""Versions before the present one that are looked for."""


class Redis(Hashes, Protocol):
    """What is needed of redis.asyncio's clients, single or cluster."""

    def get(self, name: str, /) -> Awaitable[Any]:
        """Return a text."""


async def read_report(redis: Redis, prefix: str, experiment: Experiment, now: float) -> Report:
    """Return the report as of ``now``, Unix time. Raises what the client raises."""
    name, version = experiment.name, experiment.version
    arms = await read(redis, prefix, name, version)
    record = await load(redis, prefix, name, version)
    earlier: dict[int, float] = {}
    for before in range(max(1, version - MOST_EARLIER), version):
        found = await read(redis, prefix, name, before)
        if requests := sum(arm.assigned for arm in found.values()):
            earlier[before] = requests
    return build(experiment, Learned.of(experiment, arms, record), now=now, earlier=earlier)
