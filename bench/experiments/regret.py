"""What bandits lose against always taking the best arm.

Rewards are 0 or 1. Weights are computed anew every ``EVERY`` requests, as a control process would
do, and each of those requests draws its arm from them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sidecar.evidence import (
    Moments,
    beta,
    discounted,
    epsilon_greedy,
    floored,
    normals,
    thompson,
    ucb1,
    windowed,
)
from sidecar.evidence.boundary import Floats

EVERY = 100
FLOOR = 0.01

Weigh = Callable[[Mapping[int, Sequence[Moments]], int], Sequence[float]]
"""From the sums of each slot of time (a list per slot, one for each arm) and the present slot."""


class World(NamedTuple):
    """Mean rewards per arm, before and after ``switch`` (a share of all requests)."""

    before: tuple[float, ...]
    after: tuple[float, ...]
    switch: float

    def means(self, request: int, requests: int) -> tuple[float, ...]:
        """Return the mean rewards at a request."""
        return self.before if request < self.switch * requests else self.after


STATIONARY = World((0.70, 0.75, 0.80), (0.70, 0.75, 0.80), 1.0)
SWITCH = World((0.70, 0.75, 0.80), (0.85, 0.75, 0.60), 0.5)


def _arms(slots: Mapping[int, Sequence[Moments]], arms: int) -> list[dict[int, Moments]]:
    return [{slot: sums[arm] for slot, sums in slots.items()} for arm in range(arms)]


def _all(slots: Mapping[int, Sequence[Moments]], now: int) -> list[Moments]:
    return [windowed(arm, now, now + 1, Moments()) for arm in _arms(slots, 3)]


def _window(slots: Mapping[int, Sequence[Moments]], now: int) -> list[Moments]:
    return [windowed(arm, now, 20, Moments()) for arm in _arms(slots, 3)]


def _faded(slots: Mapping[int, Sequence[Moments]], now: int) -> list[Moments]:
    return [discounted(arm, now, 10.0, Moments()) for arm in _arms(slots, 3)]


STRATEGIES: Mapping[str, Weigh] = {
    "uniform": lambda _slots, _now: [1 / 3] * 3,
    "epsilon-greedy 0.1": lambda slots, now: epsilon_greedy(_all(slots, now), 0.1),
    "UCB1": lambda slots, now: ucb1(_all(slots, now)),
    "Thompson, Beta": lambda slots, now: thompson([beta(arm) for arm in _all(slots, now)]),
    "Thompson, Normal": lambda slots, now: thompson(normals(_all(slots, now))),
    "Thompson, Beta, half-life 1,000, floor 1 %": lambda slots, now: floored(
        thompson([beta(arm) for arm in _faded(slots, now)]), FLOOR
    ),
    "Thompson, Beta, window 2,000, floor 1 %": lambda slots, now: floored(
        thompson([beta(arm) for arm in _window(slots, now)]), FLOOR
    ),
}


def regret(seed: int, runs: int, requests: int, world: World, weigh: Weigh) -> Floats:
    """Return the mean reward lost so far, in the mean over runs, after each slot.

    Against the arm that is best at the time.
    """
    rng = np.random.default_rng(seed)
    return np.mean([_run(rng, requests, world, weigh) for _ in range(runs)], axis=0)  # type: ignore[no-any-return]


def best_fixed(requests: int, world: World) -> Floats:
    """Return what the best single arm, known beforehand, loses so far."""
    means = np.array([world.means(slot * EVERY, requests) for slot in range(requests // EVERY)])
    losses = np.cumsum(means.max(axis=1, keepdims=True) - means, axis=0) * EVERY
    return losses[:, losses[-1].argmin()]  # type: ignore[no-any-return]


def _run(rng: np.random.Generator, requests: int, world: World, weigh: Weigh) -> Floats:
    slots: dict[int, list[Moments]] = {}
    lost = np.zeros(requests // EVERY)
    for slot in range(requests // EVERY):
        means = np.array(world.means(slot * EVERY, requests))
        drawn = rng.multinomial(EVERY, weigh(slots, slot - 1))
        hits = rng.binomial(drawn, means)
        slots[slot] = [
            Moments(float(n), float(k), float(k)) for n, k in zip(drawn, hits, strict=True)
        ]
        lost[slot] = float(drawn @ (means.max() - means))
    return np.cumsum(lost)
