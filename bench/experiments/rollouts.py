"""Whole rollouts that drive themselves, through the room's own functions.

Steps of 1, 5, 20 and 50 %, then everything; guards on the error rate (one point more at most) and
on the 95th percentile of latency (a fifth more at most); judged whenever the candidate has had
about 50 more requests. Latencies are lognormal (0.6).
"""

from typing import NamedTuple

import numpy as np

from sidecar.evidence import (
    Assigned,
    Guard,
    Histogram,
    Patience,
    Proportion,
    decide_step,
    judge_all,
    srm_over,
)
from sidecar.evidence.boundary import Floats
from sidecar.evidence.histogram import WIDTH

STEPS = (1.0, 5.0, 20.0, 50.0, 100.0)
GUARDS = (Guard("error_rate", max_increase=0.01), Guard("latency_p95", max_ratio=1.2))
EXPOSURES = 50
LONGEST = 20_000
"""Requests of the candidate after which a run is given up."""


class World(NamedTuple):
    """Error rates of both arms, and by which factor the candidate is slower."""

    control: float
    candidate: float
    slower: float = 1.0


class End(NamedTuple):
    """How a rollout ended, after how many requests of the candidate and of both."""

    action: str
    exposures: int
    requests: int


def rollouts(seed: int, runs: int, world: World, patience: Patience) -> list[End]:
    """Run rollouts to their ends."""
    rng = np.random.default_rng(seed)
    return [_rollout(rng, world, patience) for _ in range(runs)]


def _rollout(rng: np.random.Generator, world: World, patience: Patience) -> End:
    control = {"error_rate": [Proportion()], "latency_p95": [Histogram()]}
    candidate = {"error_rate": [Proportion()], "latency_p95": [Histogram()]}
    split = [Assigned({"control": 0, "candidate": 0}, {"control": 99, "candidate": 1})]
    step = exposures = total = requests = 0
    while total < LONGEST:
        size = int(EXPOSURES * 100 / STEPS[step])
        m = int(rng.binomial(size, STEPS[step] / 100))
        _serve(rng, control, size - m, world.control, 1.0)
        _serve(rng, candidate, m, world.candidate, world.slower)
        counts = {"control": size - m, "candidate": m}
        split[-1] = Assigned(
            {arm: split[-1].counts[arm] + n for arm, n in counts.items()}, split[-1].shares
        )
        exposures, total, requests = exposures + m, total + m, requests + size
        verdicts = judge_all(GUARDS, control, candidate, 0.05)
        found = decide_step(STEPS, step, verdicts, exposures, srm_over(split), patience)
        if found.action == "roll_back" or found.share == 100:
            return End(found.action, total, requests)
        if found.action == "promote":
            step, exposures = step + 1, 0
            shares = {"control": 100 - found.share, "candidate": found.share}
            split.append(Assigned({"control": 0, "candidate": 0}, shares))
            for arm in (control, candidate):
                arm["error_rate"].append(Proportion())
                arm["latency_p95"].append(Histogram())
    return End("hold", total, requests)


def _serve(
    rng: np.random.Generator, arm: dict[str, list], n: int, rate: float, slower: float
) -> None:
    errors, latency = arm["error_rate"], arm["latency_p95"]
    errors[-1] = errors[-1].merge(Proportion(n, int(rng.binomial(n, rate))))
    latency[-1] = latency[-1].merge(_counted(rng.lognormal(np.log(slower), 0.6, n)))


def _counted(values: Floats) -> Histogram:
    places, counts = np.unique(np.floor(np.log(values) / np.log(WIDTH)), return_counts=True)
    pairs = zip(places, counts, strict=True)
    return Histogram({int(place): float(count) for place, count in pairs})
