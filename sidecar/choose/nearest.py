"""`nearest`: the backends of the request's own region first, then those next to it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import msgspec

from sidecar.choose.definition import Arm, Definition, Site
from sidecar.choose.fallback import AsListed
from sidecar.choose.rendezvous import key_text
from sidecar.model import Accessor, Backend, Candidate, Context, Leaf, Ranking, Router, Strategy

ANYWHERE = "*"

_LONGEST = 128
Parts = tuple[str, ...]
"""`eu-west-1` is ("eu", "west", "1")."""
Distance = tuple[int, int]
"""Less is nearer: (0, 0) the same region, (1, n) the n-th of the preference, (2, -n) n parts in
common."""


class ByRegion(msgspec.Struct, frozen=True):
    """Ranks by distance, then by the backends' priority, then as listed."""

    read: Accessor
    preference: Mapping[Parts, tuple[Parts, ...]]
    """Region of requests, as parts → where to go, nearest first; without parts: any other."""
    regions: Mapping[str, tuple[Parts, ...]]
    """Backend → its region and its endpoints' zones."""

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return the nearest first; nothing is drawn."""
        here = _parts(_region(self.read(context)))
        preferred = self._preferred(here)
        judged = []
        for place, candidate in enumerate(candidates):
            backend = candidate.plan.attempts[0].backend
            distance = self._distance(backend.name, here, preferred)
            judged.append((distance, backend.priority, place))
        if context.trail is not None:
            self._note(here, candidates, judged, context)
        judged.sort()
        return Ranking([candidates[place] for *_, place in judged])

    def _preferred(self, here: Parts) -> Sequence[Parts]:
        """Return the preference of the region, else of the longest region around it."""
        for length in range(len(here), 0, -1):
            if here[:length] in self.preference:
                return self.preference[here[:length]]
        return self.preference.get((), ())

    def _distance(self, backend: str, here: Parts, preferred: Sequence[Parts]) -> Distance:
        """Return how far the nearest of the backend's regions is."""
        regions = self.regions.get(backend, ())
        if here in regions:
            return 0, 0
        for number, wanted in enumerate(preferred, 1):
            if any(region[: len(wanted)] == wanted for region in regions):
                return 1, number
        return 2, -max((_common(here, region) for region in regions), default=0)

    def _note(
        self,
        here: Parts,
        candidates: Sequence[Candidate],
        judged: Sequence[tuple[Distance, int, int]],
        context: Context,
    ) -> None:
        if context.trail is None:
            return
        context.trail.note("region", "-".join(here) or None)
        for (kind, number), priority, place in judged:
            candidate = candidates[place]
            regions = ["-".join(each) for each in self.regions.get(candidate.backend.name, ())]
            word = ("same region", f"preference {number}", f"{-number} parts in common")[kind]
            context.trail.score(candidate, None, why=word, regions=regions, priority=priority)


class Nearest(Definition, frozen=True, kw_only=True):
    """The document of a `nearest` router.

    `preference`: region of requests, or `*`, → regions of backends, nearest first.
    """

    names: ClassVar = ("nearest",)
    spread: ClassVar = True

    key: str = "region"
    preference: Mapping[str, tuple[str, ...]] = {}

    def strategy(
        self, site: Site, _arms: Sequence[Arm], targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the ranking; a stored preference for a region where nobody is is a fault."""
        backends = {backend.name: backend for target in targets for backend in _below(target)}
        regions = {name: _regions(backend) for name, backend in backends.items()}
        if site.strict:
            self._check(site, {region for each in regions.values() for region in each})
        read = site.accessor(self.key, ".key")
        if read is None:
            return AsListed()
        preference = {
            () if region == ANYWHERE else _parts(region): tuple(map(_parts, wanted))
            for region, wanted in self.preference.items()
        }
        return ByRegion(read, preference, regions)

    def _check(self, site: Site, known: set[Parts]) -> None:
        names = ", ".join(sorted("-".join(region) for region in known)) or "none has a region"
        for region, wanted in self.preference.items():
            for number, name in enumerate(wanted):
                parts = _parts(name)
                if not parts or not any(each[: len(parts)] == parts for each in known):
                    where = f".preference.{region}[{number}]"
                    site.fault(where, f'no target is in "{name[:100]}"; known: {names}')


def _region(value: object) -> str:
    """Return the region as text; one that is too long to be one is none."""
    text = key_text(value) or ""
    return text if len(text) <= _LONGEST else ""


def _parts(region: str) -> Parts:
    return tuple(region.lower().split("-")) if region else ()


def _common(one: Parts, other: Parts) -> int:
    """Return how many parts at the beginning are the same."""
    count = 0
    for here, there in zip(one, other, strict=False):
        if here != there:
            break
        count += 1
    return count


def _regions(backend: Backend) -> tuple[Parts, ...]:
    named = [backend.region, *(endpoint.zone for endpoint in backend.endpoints)]
    return tuple(dict.fromkeys(_parts(name) for name in named if name))


def _below(target: Leaf | Router) -> Iterator[Backend]:
    """Yield the backends of a target, over all levels."""
    if isinstance(target, Leaf):
        yield from target.backends
    else:
        for inner in target.targets:
            yield from _below(inner)
