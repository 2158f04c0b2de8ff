"""Sample-ratio mismatch: did the traffic reach the arms as the shares say?

If not, something between assignment and counting is broken (an arm that loses requests, a cache,
a retry), and no comparison of the arms can be trusted.

The null hypothesis speaks of what was drawn. With a `key`, users are drawn and not requests: then
distinct keys have to be counted, since the requests of a heavy user are no mismatch.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from sidecar.evidence.boundary import Floats, log_dirichlet

FLAG_BELOW = 0.001
"""The p-value below which experimenters agree to raise the alarm."""
CONCENTRATIONS = (10.0, 100.0, 1_000.0, 10_000.0)
"""Of the prior: small ones find a gross mismatch after dozens of requests, large ones a mismatch
of a percent after 100,000. The mean of their e-values is an e-value again, and costs a factor of
four at most."""


class Srm(msgspec.Struct, frozen=True):
    """``p_value`` holds at all times at once; ``flag``: do not read the results."""

    p_value: float
    flag: bool


class Assigned(NamedTuple):
    """What each arm got in a stretch of time in which ``shares`` (of any sum) stayed the same."""

    counts: Mapping[str, float]
    shares: Mapping[str, float]


def srm(
    counts: Mapping[str, float], shares: Mapping[str, float], *, below: float = FLAG_BELOW
) -> Srm:
    """Return whether ``counts`` per arm fit ``shares``, weights of any sum per arm."""
    return srm_over([Assigned(counts, shares)], below=below)


def srm_over(stretches: Sequence[Assigned], *, below: float = FLAG_BELOW) -> Srm:
    """Return whether the counts of all stretches fit the shares that each had.

    E-values of stretches that follow one another are multiplied; p = min(1, 1 / e) then exceeds
    no level more often than that level, whenever one looks. Lindon and Malek 2022
    (`boundary.log_dirichlet`), with a mean over four priors.
    """
    logs = [log_e_value(stretch) for stretch in stretches]
    p_value = math.exp(-max(0.0, math.fsum(logs))) if math.inf not in logs else 0.0
    return Srm(p_value, p_value < below)


def log_e_value(stretch: Assigned) -> float:
    """Return the log evidence against the shares; infinity when an arm without a share got some."""
    arms = sorted(stretch.counts.keys() | stretch.shares.keys())
    counts = np.array([float(stretch.counts.get(arm, 0)) for arm in arms])
    shares = np.array([float(stretch.shares.get(arm, 0)) for arm in arms])
    if counts[shares <= 0].any():
        return math.inf
    counts, shares = counts[shares > 0], shares[shares > 0]
    if len(shares) < 2:
        return 0.0
    return float(mixed_evidence(counts, shares / shares.sum()))


def mixed_evidence(counts: Floats, shares: Floats) -> Any:
    """Return the log of the mean e-value over the priors; the last axis of both are the arms."""
    logs = [log_dirichlet(counts, shares, each) for each in CONCENTRATIONS]
    return np.logaddexp.reduce(logs, axis=0) - math.log(len(logs))
