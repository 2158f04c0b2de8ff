"""What a policy that did not serve would have earned, from the logs of one that did.

Each logged decision has the probability with which its action was drawn; weighting by "how much
likelier the candidate takes it" makes the logs look as if the candidate had drawn. These are
intervals for one look at a given set of logs, not for looking on and on.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from sidecar.evidence.boundary import Floats

Method = Literal["ips", "snips", "doubly_robust"]

LEAST_SIZE = 100.0
"""The effective number of decisions below which nothing is said."""
MOST_UNSUPPORTED = 0.01
"""The candidate's probability of actions that could not have been logged, above which likewise."""


class Logged(NamedTuple):
    """Decisions as parallel arrays, all of the same length.

    The two predictions of a reward model are needed for the doubly robust estimate only.
    """

    propensity: npt.ArrayLike
    """With which the action was drawn; above 0, at most 1."""
    target: npt.ArrayLike
    """The candidate's probability of the same action."""
    reward: npt.ArrayLike
    predicted: npt.ArrayLike | None = None
    """The model's reward for the action that was taken."""
    predicted_target: npt.ArrayLike | None = None
    """The model's mean reward under the candidate: its probabilities times its predictions."""
    unsupported: npt.ArrayLike | None = None
    """The candidate's probability of all actions that the log could not have drawn."""
    keys: Sequence[str] | None = None
    """Whose decision it was, where those of one key are alike: then keys count, not decisions."""


class Estimate(msgspec.Struct, frozen=True):
    """``cannot_tell`` is the reason why there are no figures, else None."""

    method: Method
    n: int
    effective: float
    """How many decisions of the candidate's own the logs are worth."""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    cannot_tell: str | None = None


def ips(logged: Logged, alpha: float = 0.05) -> Estimate:
    """Return ``mean(w r)``, w = target / propensity (Horvitz and Thompson 1952): unbiased."""
    w, r = _weights(logged), _floats(logged.reward)
    return _estimate("ips", logged, alpha, w * r, None)


def snips(logged: Logged, alpha: float = 0.05) -> Estimate:
    """Return ``sum(w r) / sum(w)`` (Swaminathan and Joachims 2015): less variance, little bias."""
    w, r = _weights(logged), _floats(logged.reward)
    whole = float(w.mean()) if w.size else 0.0
    if whole <= 0:
        return _estimate("snips", logged, alpha, w, None)
    value = float((w * r).mean()) / whole
    return _estimate("snips", logged, alpha, w * (r - value) / whole, value)


def doubly_robust(logged: Logged, alpha: float = 0.05) -> Estimate:
    """Return ``mean(v + w (r - q))``, q and v the model's predictions (Dudik et al. 2011).

    Right when the propensities are, and better the better the model is. Raises ValueError
    without predictions.
    """
    if logged.predicted is None or logged.predicted_target is None:
        raise ValueError("the doubly robust estimate needs a model's predictions")
    w, r = _weights(logged), _floats(logged.reward)
    q, v = _floats(logged.predicted), _floats(logged.predicted_target)
    return _estimate("doubly_robust", logged, alpha, v + w * (r - q), None)


def effective_size(weights: Floats) -> float:
    """Return ``sum(w)^2 / sum(w^2)`` (Kish 1965); 0 of nothing."""
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def _estimate(
    method: Method, logged: Logged, alpha: float, scores: Floats, value: float | None
) -> Estimate:
    """Return the mean of ``scores``, or ``value`` with the scores' spread around 0."""
    weights = _weights(logged)
    n, effective = int(scores.size), effective_size(weights)
    why_not = _cannot_tell(logged, weights, effective)
    if why_not:
        return Estimate(method, n, effective, cannot_tell=why_not)
    center = float(scores.mean())
    half = float(-ndtri(alpha / 2)) * _error(scores - center, logged.keys)
    shown = center if value is None else value
    return Estimate(method, n, effective, shown, shown - half, shown + half)


def _cannot_tell(logged: Logged, weights: Floats, effective: float) -> str | None:
    if logged.unsupported is not None and weights.size:
        missing = float(_floats(logged.unsupported).mean())
        if missing > MOST_UNSUPPORTED:
            return f"{missing:.1%} of the candidate's choices are never made in the logs"
    if effective < LEAST_SIZE:
        few = f"the logs are worth {effective:.0f} decisions of the candidate"
        return f"{few}; {LEAST_SIZE:g} are needed"
    error = _error(weights - weights.mean(), logged.keys)
    # Weights average 1 when propensities are right and everything is supported.
    if abs(float(weights.mean()) - 1) > 5 * error + 1e-9:
        wrong = f"the weights average {weights.mean():.3f}, not 1"
        return f"{wrong}: choices are missing, or propensities are wrong"
    return None


def _error(residues: Floats, keys: Sequence[str] | None) -> float:
    """Return the standard error of the mean, between keys if there are any (Liang, Zeger 1986)."""
    n = residues.size
    if keys is None:
        return math.sqrt(float(residues @ residues) / (n - 1) / n)
    _, places = np.unique(np.asarray(keys), return_inverse=True)
    sums = np.bincount(places, weights=residues)
    groups = len(sums)
    return math.sqrt(float(sums @ sums) * groups / (groups - 1)) / n if groups > 1 else math.inf


def _weights(logged: Logged) -> Floats:
    propensity, target = _floats(logged.propensity), _floats(logged.target)
    if not ((propensity > 0) & (propensity <= 1)).all():
        raise ValueError("propensities are above 0 and at most 1")
    if not ((target >= 0) & (target <= 1)).all():
        raise ValueError("the candidate's probabilities are between 0 and 1")
    return target / propensity


def _floats(values: npt.ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)
