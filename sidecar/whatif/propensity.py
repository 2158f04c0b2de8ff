"""Which stated probabilities are those of the backend, given the request.

A decision states the product of the draws on the way to its first backend. That is the probability
of going there when each router on the way chose by place. A router that judged its targets by what
these had drawn (the quicker of two random ones) chose otherwise than that product says.
"""

from collections.abc import Iterator

from sidecar.choose import STRATEGIES
from sidecar.decide import DEFAULT, STORED
from sidecar.model import Router, Snapshot
from sidecar.whatif.records import Decided, Record

_BY_PLACE = frozenset(
    {"percentage", "a_b_testing", "random", "sticky", "round_robin", "experiment", "bandit"}
)
_CERTAIN = frozenset({"fallback", "schedule"})
_SCRIPT = "script"


def is_exact(record: Record, past: Decided, snapshot: Snapshot) -> bool:
    """Tell whether the probability that was stated then can be relied on.

    By the names of the routers that were walked, and by the live router of the same route, if it
    is still there: it shows targets that drew and were not chosen.
    """
    path = past.strategy.split("/")
    if _SCRIPT in path:  # its draws are its own affair
        return False
    if any(_judges(kind) and any(map(_may_draw, path[at + 1 :])) for at, kind in enumerate(path)):
        return False
    router = _router(record, past.route, snapshot)
    return router is None or _chooses_by_place(router)


def _router(record: Record, route: str, snapshot: Snapshot) -> Router | None:
    if route == DEFAULT:
        return snapshot.default
    if route == STORED:
        return snapshot.routers.get((record.facts.model or "").removeprefix("router/"))
    return next((one.router for one in snapshot.route_list if one.name == route), None)


def _chooses_by_place(router: Router) -> bool:
    nested = [*_nested(router)]
    if _judges(router.type) and any(map(_draws, nested)):
        return False
    return all(map(_chooses_by_place, nested))


def _draws(router: Router) -> bool:
    return _may_draw(router.type) or any(map(_draws, _nested(router)))


def _nested(router: Router) -> Iterator[Router]:
    return (target for target in router.targets if isinstance(target, Router))


def _may_draw(kind: str) -> bool:
    return kind not in _CERTAIN


def _judges(kind: str) -> bool:
    """Whether routers of this type look at what their targets would try first.

    Those of a lazy type cannot: their targets are not planned before they are ranked.
    """
    definition = STRATEGIES.get(kind)
    return kind not in _BY_PLACE and not (definition is not None and definition.lazy)
