"""Weights of targets: numbers from 0 on, parallel to them, of any sum above 0."""

import math
from collections.abc import Sequence

from sidecar.choose.definition import Arm, Definition, Site


class Weighted(Definition, frozen=True, kw_only=True):
    """What documents of routers with `weights` have in common; without them all weigh 1."""

    weights: tuple[float, ...] = ()

    def arms(self, site: Site) -> list[Arm]:
        """Return the targets with their weights."""
        arms = super().arms(site)
        return weighed(arms, self.weights, site, "weights") if "weights" in site.document else arms


def weighed(arms: list[Arm], weights: Sequence[float], site: Site, field: str) -> list[Arm]:
    """Return ``arms`` with the weights that are listed in ``field``; faults go to ``site``."""
    written = site.document.get(field, [])
    if isinstance(written, list) and len(written) != len(arms):
        counts = f"{len(written)} weights for {len(arms)} targets"
        site.fault(f".{field}", f"{counts}; the lists must be parallel")
    if len(weights) != len(arms):
        return arms
    places = [(f".{field}[{place}]", weight) for place, weight in enumerate(weights)]
    check_weights(site, f".{field}", places)
    return [arm._replace(weight=w) for arm, w in zip(arms, weights, strict=True)]


def check_weights(site: Site, whole: str, weights: Sequence[tuple[str, float]]) -> None:
    """Note weights that cannot be shares; ``whole`` is the path of all of them."""
    wrong = [(where, w) for where, w in weights if not 0 <= w < math.inf]
    for where, weight in wrong:
        site.fault(where, f"{weight:g} is not a weight; a weight is a number from 0 on")
    total = sum(weight for _, weight in weights)
    if weights and not wrong and not 0 < total < math.inf:
        site.fault(whole, f"the weights add up to {total:g}; they need a finite sum above 0")
