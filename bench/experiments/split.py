"""The test of the split, looked at every 10 requests: false alarms, and how soon it is right."""

import numpy as np

from bench.experiments.peeking import first
from sidecar.evidence.boundary import Floats
from sidecar.evidence.srm import mixed_evidence

EVERY = 10


def alarms(
    seed: int, runs: int, requests: int, share: float, lost: float, below: float = 0.001
) -> Floats:
    """Return after how many requests each run raised the flag, or infinity.

    ``share``: the canary's; ``lost``: the share of its requests that never show up.
    """
    rng = np.random.default_rng(seed)
    slots = requests // EVERY
    canary = rng.binomial(EVERY, share, (runs, slots))
    seen = np.cumsum(canary - rng.binomial(canary, lost), axis=1)
    control = np.cumsum(EVERY - canary, axis=1)
    counts = np.stack([control, seen], axis=-1).astype(float)
    evidence = mixed_evidence(counts, np.array([1 - share, share]))
    return first(evidence > -np.log(below)) * EVERY
