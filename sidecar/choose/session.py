"""`session`: a session stays with its target as long as that is well, also when weights change.

Without a pin the session's hash chooses, so all workers of all nodes agree at once; the pin then
keeps the choice, and a choice that had to change is kept as well.
"""

import json
import string
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, ClassVar, Literal

import msgspec

from sidecar.choose.affinity import Affinity, Keyed, KeyReader, Subjects
from sidecar.choose.definition import Arm, Site
from sidecar.choose.fallback import AsListed
from sidecar.choose.rendezvous import key_text
from sidecar.model import (
    Accessor,
    Candidate,
    Context,
    Leaf,
    Ranking,
    Router,
    SetPin,
    Strategy,
    Trail,
    WindowStats,
)

ENOUGH_REQUESTS = 5
"""Requests of the last minute without which nobody is called unhealthy."""

MONTH = 30 * 86400.0

_LONGEST_NAME = 128
_NOBODY = "-"
_PLAIN = frozenset(f"{string.ascii_letters}{string.digits}._:@/-")
_SUBJECTS = {"api_key": "api_key", "tenant": "user.tenant"}


class Owner(msgspec.Struct, frozen=True):
    """Whose session it is: sessions of two owners are two, whatever they are called."""

    accessor: Accessor | None
    """``None``: sessions belong to all callers together."""
    hashed: bool
    """What the accessor reads is a client's text and must not become part of a key."""
    required: bool
    """Without an owner nothing is pinned."""

    def name(self, context: Context) -> str | None:
        """Return what stands for the owner in keys; ``None``: do not pin."""
        if self.accessor is None:
            return _NOBODY
        owner = key_text(self.accessor(context))
        if owner is None:
            return None if self.required else _NOBODY
        return _digest(owner) if self.hashed else owner


class ByPin(msgspec.Struct, frozen=True):
    """Ranks the pinned target first, then the healthy ones as the session's hash prefers them."""

    router: str
    """What stands for the router in keys."""
    read: KeyReader
    owner: Owner
    affinity: Affinity
    seconds: float
    unhealthy: float

    def rank(self, candidates: Sequence[Candidate], context: Context) -> Ranking:
        """Return the ranking, and the pin that it leaves.

        Unhealthy ones are last, and a pin at one of them is moved, unless nobody is healthy.
        Probability: 1 for a pin, else the share of sessions that hash to the first.
        """
        session = self.read(context)
        if session is None:
            return self.affinity.keyless(candidates, context)
        owner, digest = self.owner.name(context), _digest(session)
        key = None if owner is None else f"{self.router}:{owner}:{digest}"
        found = self.affinity.seats.taken(candidates)
        order = self.affinity.order(f"{owner or _NOBODY}:{digest}", found)
        well = self._well(order, found, context)
        pinned = self._pinned(key, well, context)
        first = well[0] if pinned is None else pinned
        rest = [*well, *order] if len(well) < len(order) else order
        order = list(dict.fromkeys([first, *rest]))
        return Ranking(
            [found[seat] for seat in order],
            self.affinity.share(first, well) if pinned is None else 1.0,
            () if key is None else (SetPin(key, self.affinity.seats.names[first], self.seconds),),
        )

    def _pinned(self, key: str | None, well: Sequence[int], context: Context) -> int | None:
        """Return the seat at which the session is pinned, if it may stay there."""
        pin = None if key is None else context.memory.pin(key)
        if context.trail is not None:
            context.trail.note("key", key)
            context.trail.note("pin", pin)
        if pin is None:
            return None
        names = self.affinity.seats.names
        return next((seat for seat in well if names[seat] == pin), None)

    def _well(
        self, order: Sequence[int], found: Mapping[int, Candidate], context: Context
    ) -> Sequence[int]:
        """Return the seats whose backends are healthy, in their order; all, if none is."""
        rows, well = context.stats.backends, []
        for seat in order:
            row = rows.get(found[seat].backend.name)
            window = row and row.windows.get("1m")
            sick = (
                window
                and window.requests >= ENOUGH_REQUESTS
                and window.errors >= self.unhealthy * window.requests
            )
            if not sick:
                well.append(seat)
            if context.trail is not None:
                self._note(found[seat], window or None, sick=bool(sick), trail=context.trail)
        return well or order

    def _note(
        self, candidate: Candidate, window: WindowStats | None, *, sick: bool, trail: Trail
    ) -> None:
        window = window or WindowStats()
        trail.score(candidate, window.error_rate, healthy=not sick, requests=window.requests)


class Session(Keyed, frozen=True, kw_only=True):
    """The document of a `session` router. ``ttl_seconds``: how long a silent session is known."""

    names: ClassVar = ("session",)

    key: Subjects = "session"
    scope: Literal["api_key", "tenant", "global"] = "api_key"
    ttl_seconds: Annotated[float, msgspec.Meta(ge=1, le=MONTH)] = 3600
    unhealthy_error_rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5

    def strategy(
        self, site: Site, arms: Sequence[Arm], targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the ranking by pin; pins of routers in requests are kept apart from all others."""
        read, owner = self.reader(site), self._owner(site)
        if read is None or owner is None:
            return AsListed()
        weights = [arm.weight for arm in arms]
        return ByPin(
            router=_router_name(site),
            read=read,
            owner=owner,
            affinity=Affinity.of(site.name, targets, weights, self.missing),
            seconds=self.ttl_seconds,
            unhealthy=self.unhealthy_error_rate,
        )

    def _owner(self, site: Site) -> Owner | None:
        if self.scope == "global":
            return Owner(None, hashed=False, required=False)
        subject = _SUBJECTS[self.scope]
        accessor = site.accessor(subject, ".scope")
        # Envoy sends the header of the key only if a live rule reads it: a router in a request
        # may see none, and must not pin sessions of many callers as if they were one.
        unseen = self.scope == "api_key" and not site.strict
        return accessor and Owner(accessor, hashed=self.scope == "tenant", required=unseen)


def _router_name(site: Site) -> str:
    """Return the router's name, or a digest where it is a client's or would spoil a key."""
    if site.strict and _PLAIN.issuperset(site.name) and len(site.name) <= _LONGEST_NAME:
        return site.name
    return f"~{_digest(json.dumps([site.strict, site.name]))}"


def _digest(text: str) -> str:
    """Return 32 hex digits of the text's BLAKE2b: what clients write becomes no key of Redis."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
