"""Estimates from logs whose truth is known: is it inside as often as it should be?

Five kinds of request, three models. What is logged was drawn with probabilities that lean to one
model (0.6, 0.3, 0.1 in an order that depends on the kind); the candidate takes another one with
0.9. Rewards are 0 or 1.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sidecar.evidence import Estimate, Logged, doubly_robust, ips, snips
from sidecar.evidence.boundary import Floats


class Bench(NamedTuple):
    """Probabilities and rewards by kind of request (row) and model (column)."""

    rewards: Floats
    logging: Floats
    candidate: Floats

    @property
    def truth(self) -> float:
        """The candidate's mean reward."""
        return float((self.candidate * self.rewards).sum(axis=1).mean())


def bench(seed: int) -> Bench:
    """Return a bench with random rewards."""
    rng = np.random.default_rng(seed)
    kinds = range(5)
    logging = np.array([np.roll([0.6, 0.3, 0.1], kind) for kind in kinds])
    candidate = np.array([np.roll([0.05, 0.05, 0.9], kind) for kind in kinds])
    return Bench(rng.uniform(0.3, 0.9, (5, 3)), logging, candidate)


def logs(rng: np.random.Generator, on: Bench, n: int, *, model: Floats) -> Logged:
    """Draw ``n`` logged decisions; ``model`` predicts rewards by kind and model."""
    kind = rng.integers(5, size=n)
    action = (rng.random((n, 1)) > np.cumsum(on.logging[kind], axis=1)).sum(axis=1).clip(max=2)
    return Logged(
        on.logging[kind, action],
        on.candidate[kind, action],
        (rng.random(n) < on.rewards[kind, action]).astype(float),
        model[kind, action],
        (on.candidate * model).sum(axis=1)[kind],
    )


class Coverage(NamedTuple):
    """Of many logs."""

    inside: float
    width: float
    bias: float


def coverage(
    seed: int, runs: int, n: int, estimate: Callable[[Logged], Estimate], *, right: bool = True
) -> Coverage:
    """Return how the estimates of ``runs`` logs of ``n`` decisions fit the truth.

    The model predicts the true rewards, or without ``right`` always 0.5.
    """
    on, rng = bench(seed), np.random.default_rng(seed)
    model = on.rewards if right else np.full((5, 3), 0.5)
    found = [estimate(logs(rng, on, n, model=model)) for _ in range(runs)]
    known = [(one.estimate or 0.0, one.low or 0.0, one.high or 0.0) for one in found]
    middle, low, high = np.array(known).T
    inside = (low <= on.truth) & (on.truth <= high)
    return Coverage(
        float(inside.mean()), float((high - low).mean()), float(middle.mean() - on.truth)
    )


ESTIMATES = {"IPS": ips, "SNIPS": snips, "doubly robust": doubly_robust}
