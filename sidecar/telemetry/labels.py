"""What may stand in a label: names from the configuration, and not more than a set number."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from sidecar.model import Leaf, Route, Router
from sidecar.telemetry.exposition import Counter, Family, Histogram

OTHER = "other"
MAX_VALUES = 1000
_MAX_CHILDREN = 50_000

Metric = TypeVar("Metric", Counter, Histogram)


class Names:
    """The values of one label; everything else becomes ``other``.

    ``learn``: new values are taken in as they come, while there is room. Otherwise `use` says
    which there are. A name that left the configuration keeps its place until a new one needs it,
    so that its last counts are still scraped, and a name that comes back goes on counting.
    """

    def __init__(self, *always: str, cap: int = MAX_VALUES, learn: bool = False) -> None:
        self._known = dict.fromkeys((OTHER, *always))
        self._always = frozenset(self._known)
        self._cap = cap
        self._learn = learn

    def label(self, name: str) -> str:
        """Return ``name``, or ``other``."""
        if name in self._known:
            return name
        if self._learn and self._has_room:
            self._known[name] = None
            return name
        return OTHER

    def use(self, names: Iterable[str]) -> tuple[bool, list[str]]:
        """Take in the names that exist now.

        Returns whether anything changed, and the names whose place was given away.
        """
        before = len(self._known)
        current = dict.fromkeys(names)
        stale = [n for n in self._known if n not in current and n not in self._always]
        dropped: list[str] = []
        for name in current:
            if name not in self._known and not self._has_room:
                if len(dropped) == len(stale):
                    break
                dropped.append(stale[len(dropped)])
                del self._known[dropped[-1]]
            self._known[name] = None
        return bool(dropped) or len(self._known) != before, dropped

    @property
    def _has_room(self) -> bool:
        return len(self._known) - len(self._always) < self._cap


class Series(Generic[Metric]):
    """The series of one metric, by their label values; ``make`` makes a new one.

    ``bounds``: of a histogram's buckets.
    """

    def __init__(
        self,
        make: Callable[[], Metric],
        name: str,
        text: str,
        labels: Mapping[str, Names],
        bounds: Sequence[float] | None = None,
    ) -> None:
        self._make: Callable[[], Metric] = make
        self._labels = labels
        self._family = Family(name, text, tuple(labels), bounds)
        self._shown: dict[tuple[str, ...], Metric] = {}
        """By the labels that are shown, and below by what was asked for."""
        self._children: dict[tuple[str, ...], Metric] = {}

    def of(self, *values: str) -> Metric:
        """Return the series of these values, which are given in the order of the labels."""
        child = self._children.get(values)
        if child is None:
            pairs = zip(self._labels.values(), values, strict=True)
            child = self._labelled(tuple([names.label(value) for names, value in pairs]))
            if len(self._children) >= _MAX_CHILDREN:
                self._children.clear()
            self._children[values] = child
        return child

    def prepare(self, keys: Iterable[tuple[str, ...]]) -> None:
        """Make the series of ``keys``, so that they are there before they count."""
        for key in keys:
            self.of(*key)

    def refresh(self, names: Names, dropped: Iterable[str]) -> None:
        """Forget the series of dropped names, and which names were unknown up to now."""
        self._children.clear()
        gone = frozenset(dropped)
        places = [place for place, known in enumerate(self._labels.values()) if known is names]
        for values in [*self._shown] if gone and places else ():
            if any(values[place] in gone for place in places):
                del self._shown[values]
                self._family.drop(values)

    def render(self, *, openmetrics: bool) -> str:
        """Return what a scrape shows, in one of Prometheus' two text formats."""
        return self._family.render(openmetrics=openmetrics)

    def _labelled(self, values: tuple[str, ...]) -> Metric:
        child = self._shown.get(values)
        if child is None:
            child = self._shown[values] = self._make()
            self._family.show(values, child)
        return child


def counter(name: str, text: str, labels: Mapping[str, Names]) -> Series[Counter]:
    """Return a new counter with these labels; ``name`` is without ``_total``."""
    return Series(Counter, name, text, labels)


def histogram(
    name: str, text: str, labels: Mapping[str, Names], bounds: Sequence[float]
) -> Series[Histogram]:
    """Return a new histogram with these labels."""
    return Series(lambda: Histogram(bounds), name, text, labels, bounds)


class Reach(NamedTuple):
    """What decisions through one router can come to."""

    trails: tuple[str, ...]
    """Strategies as decisions name them: types from the outermost router inwards."""
    backends: tuple[str, ...]


def reach(router: Router) -> Reach:
    """Return all trails and enabled backends below ``router``."""
    backends = dict.fromkeys(_backends(router))
    return Reach(tuple(dict.fromkeys(_trails(router, ""))), tuple(backends))


class Reaches:
    """Remembers what routers reach: most of them are the same objects after an edit."""

    def __init__(self) -> None:
        self._walked: dict[int, tuple[Router, Reach]] = {}

    def by_route(self, routes: Iterable[Route]) -> dict[str, Reach]:
        """Return what each route can come to."""
        walked: dict[int, tuple[Router, Reach]] = {}
        found = {}
        for route in routes:
            router = route.router
            known = walked.get(id(router)) or self._walked.get(id(router))
            if known is None:
                known = (router, reach(router))
            walked[id(router)] = known
            found[route.name] = known[1]
        self._walked = walked
        return found


def _trails(router: Router, above: str) -> Iterator[str]:
    trail = f"{above}/{router.type}" if above else router.type
    yield trail
    for target in router.targets:
        if not isinstance(target, Leaf):
            yield from _trails(target, trail)


def _backends(router: Router) -> Iterator[str]:
    for target in router.targets:
        if isinstance(target, Leaf):
            yield from (backend.name for backend in target.backends if backend.enabled)
        else:
            yield from _backends(target)
