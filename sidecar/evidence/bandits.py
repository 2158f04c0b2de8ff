"""How bandits share out requests: as probabilities per arm.

A strategy draws from them, so the probability that it logs is exact. All work on sums per arm
(`Moments` of rewards, more is better), as they are or discounted (`drift`).
"""

import math
from collections.abc import Sequence

from sidecar.evidence.posteriors import Posterior, best_probabilities
from sidecar.evidence.sums import Moments


def thompson(posteriors: Sequence[Posterior]) -> list[float]:
    """Return each arm's probability to be the best (Thompson 1933).

    Drawing from these is what drawing once from each posterior and taking the greatest does.
    """
    return best_probabilities(posteriors)


def ucb1(arms: Sequence[Moments], *, width: float = 1.0) -> list[float]:
    """Return 1 for the arm with the greatest index, shared among equals.

    ``mean + width sqrt(2 log(n) / n_arm)``, infinite for an arm without values (Auer,
    Cesa-Bianchi and Fischer 2002, for rewards from 0 to 1; ``width`` is the rewards' range).
    On discounted sums it is D-UCB (Garivier and Moulines 2011).
    """
    n = sum(arm.n for arm in arms)
    spread = 2 * math.log(max(n, 1.0))
    return _greatest(
        [arm.mean + width * math.sqrt(spread / arm.n) if arm.n else math.inf for arm in arms]
    )


def epsilon_greedy(arms: Sequence[Moments], epsilon: float) -> list[float]:
    """Return ``1 - epsilon`` for the greatest mean and ``epsilon`` shared by all.

    An arm without values counts as the greatest, so each is tried.
    """
    best = _greatest([arm.mean if arm.n else math.inf for arm in arms])
    return [(1 - epsilon) * each + epsilon / len(arms) for each in best]


def floored(weights: Sequence[float], floor: float) -> list[float]:
    """Return the weights mixed with equal ones, so that each is ``floor`` at least.

    Raises ValueError when the arms' floors are more than 1 together.
    """
    spare = 1 - floor * len(weights)
    if floor < 0 or spare < -1e-12:
        raise ValueError(f"{len(weights)} arms cannot have {floor:g} each")
    return [floor + max(spare, 0.0) * weight for weight in weights]


def _greatest(values: Sequence[float]) -> list[float]:
    best = max(values)
    share = 1 / sum(value == best for value in values)
    return [share if value == best else 0.0 for value in values]
