"""From what arms earned to how a bandit draws them. Pure, and the same on every node."""

import math
from collections.abc import Mapping, Sequence

import msgspec

from sidecar.choose.bandit import Learning
from sidecar.evidence import (
    Moments,
    beta,
    epsilon_greedy,
    floored,
    normals,
    thompson,
    ucb1,
    windowed,
)
from sidecar.model import Odds

_ANY = 1e-9
SLOTS = 20
"""A window moves on by so many steps: what is counted is between 19/20 and all of it."""


class Earned(msgspec.Struct, frozen=True):
    """What is known of a bucket: slot of time → arm → count, sum and sum of squares of rewards.

    ``at``: Redis' time of the last change, up to which the sums have faded. Only a window has more
    than one slot.
    """

    at: float
    slots: Mapping[int, Mapping[str, tuple[float, float, float]]] = {}


def odds_of(learning: Learning, arms: Sequence[str], earned: Earned, now: float) -> Odds:
    """Return how to draw ``arms`` at ``now`` (Redis' time); alike when nothing can be said."""
    known = [_moments(learning, earned, arm, now) for arm in arms]
    weights = _weights(learning, known)
    if not all(math.isfinite(weight) for weight in weights):
        weights = [1 / len(arms)] * len(arms)
    return Odds(tuple(weights), tuple(arm.n for arm in known))


def _weights(learning: Learning, arms: Sequence[Moments]) -> list[float]:
    """Return the algorithm's probabilities for arms of enough samples; the others get 1/K each.

    Without that an arm that is switched off, and so never gets any, would be the best for ever
    in the eyes of all but Thompson.
    """
    needed = learning.min_samples or (0.0 if learning.algorithm == "thompson" else _ANY)
    old = [arm for arm in arms if arm.n >= needed]
    equal = 1 / len(arms)
    found = iter(_by_algorithm(learning, old) if old else ())
    part = len(old) * equal
    weights = [next(found) * part if arm.n >= needed else equal for arm in arms]
    return floored(weights, learning.floor)


def _by_algorithm(learning: Learning, arms: Sequence[Moments]) -> list[float]:
    if learning.algorithm == "ucb1":
        return ucb1(arms)
    if learning.algorithm == "epsilon_greedy":
        return epsilon_greedy(arms, learning.epsilon)
    if learning.model == "normal":
        return thompson(normals(arms))
    return thompson([beta(arm) for arm in arms])


def _moments(learning: Learning, earned: Earned, arm: str, now: float) -> Moments:
    slots = {
        slot: Moments(*arms[arm])
        for slot, arms in earned.slots.items()
        if arm in arms and _sound(arms[arm])
    }
    if learning.window_seconds is not None:
        slot = int(now / (learning.window_seconds / SLOTS))
        return windowed(slots, slot, SLOTS, Moments())
    whole = windowed(slots, 0, 1, Moments())
    if learning.half_life_seconds is None:
        return whole
    return whole.scaled(0.5 ** (max(now - earned.at, 0.0) / learning.half_life_seconds))


def _sound(sums: tuple[float, float, float]) -> bool:
    return sums[0] >= 0 and all(math.isfinite(each) and abs(each) < 1e15 for each in sums)
