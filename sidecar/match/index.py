"""The route index: the first route that matches, without asking those that cannot."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from math import inf
from operator import attrgetter
from typing import NamedTuple

from sidecar.model import Context, Predicate, Route, RouteIndex


class _Entry(NamedTuple):
    """A route and its place among all of them. ``matches`` is ``None``: always."""

    rank: float
    matches: Predicate | None
    route: Route | None


_END = (_Entry(inf, None, None),)


def build_index(routes: Sequence[Route]) -> RouteIndex:
    """Index ``routes`` by the models that they pin; they are tried by ``order``, then name."""
    ordered = sorted(routes, key=lambda route: (route.order, route.name))
    generic: list[_Entry] = []
    pinned: dict[str | None, list[_Entry]] = {}
    for rank, route in enumerate(ordered):
        entry = _Entry(rank, route.matches, route)
        if route.models is None:
            generic.append(entry)
        for model in route.models or ():
            pinned.setdefault(model, []).append(entry)
    return _Index(generic, pinned)


class _Index:
    """Merges the routes of the request's model with those for any model, by rank.

    Time grows with the routes that name this model or none, not with all routes.
    """

    __slots__ = ("_generic", "_pinned")

    def __init__(
        self, generic: Iterable[_Entry], pinned: Mapping[str | None, Iterable[_Entry]]
    ) -> None:
        self._generic = (*generic, *_END)
        self._pinned = {model: tuple(entries) for model, entries in pinned.items()}

    def first(self, context: Context) -> Route | None:
        """Return the route that decides, or ``None``."""
        generic = iter(self._generic)
        rank, matches, route = next(generic)
        for own in self._pinned.get(context.request.model, ()):
            while rank < own.rank:
                if matches is None or matches(context):
                    return route
                rank, matches, route = next(generic)
            if own.matches is None or own.matches(context):
                return own.route
        while matches is not None and not matches(context):
            rank, matches, route = next(generic)
        return route

    def possible(self, model: str | None) -> Iterator[Route]:
        """Yield the routes that requests for ``model`` can match, in the order of asking."""
        pinned = self._pinned.get(model, ())
        for entry in merge(self._generic, pinned, key=attrgetter("rank")):
            if entry.route is not None:
                yield entry.route
