"""Boundaries that a martingale crosses at any time with probability alpha at most.

The formulas, on arrays as well as on numbers; everything else of this room stands on them.
"""

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, gammaln, lambertw, xlog1py, xlogy

Floats = npt.NDArray[np.float64]
Numbers = float | Floats

TIGHT_AT = 1000.0
"""The sample size at which intervals are tightest: that of one arm alone, or n m / (n + m) of two
arms: about that of the smaller arm while a canary is small, a quarter of all at equal shares."""


@functools.lru_cache(maxsize=256)
def mixing(alpha: float, tight_at: float = TIGHT_AT) -> float:
    """Return rho^2, for which ``mixture_radius`` is least at ``tight_at`` values.

    ``(-W(-alpha^2 / e) - 1) / t`` with W the lower branch of Lambert's function (Howard et al.
    2021; Waudby-Smith et al. 2024).
    """
    return float(-lambertw(-(alpha**2) / math.e, -1).real - 1) / tight_at


def mixture_radius(variance: Numbers, eta: Numbers, alpha: float) -> Any:
    """Return the half-width of the asymptotic confidence sequence of a mean.

    ``variance`` is that of the estimate, ``eta`` the variance of the sum so far over that of the
    mixing distribution: rho^2 n for a mean of n values. With variance = sigma^2 / n it is
    ``sigma sqrt(2 (n rho^2 + 1) / (n^2 rho^2) log(sqrt(n rho^2 + 1) / alpha))``: the Gaussian
    mixture of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory
    and asymptotic confidence sequences", Annals of Statistics 2024; before them Robbins 1970.
    """
    return np.sqrt(variance * (1 + 1 / eta) * np.log((1 + eta) / alpha**2))


def widened(radius: Numbers, error: Numbers, skew: Numbers) -> Any:
    """Return the radius on the side where skewed values make it too short.

    ``radius + error x skew (2 z^2 + 1) / 6`` with z = radius / error and ``error`` the estimate's
    standard error: the Cornish-Fisher correction of a studentised mean (Hall, "The Bootstrap and
    Edgeworth Expansion", 1992, section 2.3). ``skew`` is that of the estimate, the values' over
    sqrt(n), towards this side; a negative one changes nothing, to be on the safe side.
    """
    z = radius / error
    return radius + error * np.maximum(skew, 0.0) * (2 * z**2 + 1) / 6


def log_martingale(
    hits: Numbers, n: Numbers, share: Numbers, prior: tuple[Numbers, Numbers]
) -> Any:
    """Return the log of the beta-binomial mixture martingale for "each value is 1 with ``share``".

    ``B(a + hits, b + n - hits) / B(a, b) / (share^hits (1 - share)^(n - hits))``: it starts at 1,
    is a martingale when ``share`` is true, and a supermartingale for values in [0, 1] with that
    mean, so it exceeds 1 / alpha at any time with probability alpha at most (Ville 1939;
    Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric,
    nonasymptotic confidence sequences", Annals of Statistics 2021).
    """
    misses = n - hits
    a, b = prior
    mixed = betaln(a + hits, b + misses) - betaln(a, b)
    return mixed - xlogy(hits, share) - xlog1py(misses, -np.asarray(share))


def log_dirichlet(counts: Floats, shares: Floats, concentration: float) -> Any:
    """Return the log of the Dirichlet-multinomial e-value against ``shares`` (all above 0).

    The last axis are the arms. Lindon and Malek, "Anytime-valid inference for multinomial count
    data", NeurIPS 2022, with the prior Dirichlet(concentration * shares).
    """
    prior = concentration * shares
    mixed = np.sum(gammaln(prior + counts) - gammaln(prior), axis=-1)
    whole = gammaln(concentration) - gammaln(concentration + counts.sum(axis=-1))
    return mixed + whole - np.sum(xlogy(counts, shares), axis=-1)
