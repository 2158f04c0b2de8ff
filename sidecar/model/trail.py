"""The trail of one decision: what it came to on its way, for people who ask why.

A trail is collected only when somebody asks; on the request path there is none.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie"}
)
"""Request headers that are never shown to anybody."""

LONGEST_TEXT = 80
_LARGEST = 2**63
_MOST_MEMBERS = 20
_DEEPEST = 4


def shown(value: Any, depth: int = _DEEPEST) -> Any:
    """Return what may be shown of a value that may come from a client, as JSON.

    Texts are cut to LONGEST_TEXT characters, for they can be somebody's prompt; large values
    are cut as well, so that an explanation stays small.
    """
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, int):
        return value if abs(value) < _LARGEST else _cut(hex(value))
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, Mapping):
        members = list(value.items())[: _MOST_MEMBERS if depth else 0]
        return {_cut(str(key)): shown(item, depth - 1) for key, item in members}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [shown(item, depth - 1) for item in list(value)[: _MOST_MEMBERS if depth else 0]]
    return _cut(str(value))


def _cut(text: str) -> str:
    cut = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
    # A header or a script can have half of a character, which JSON cannot.
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode()


class Judged(Protocol):
    """What a strategy ranks: a candidate, or a nested router that is not planned yet."""

    @property
    def place(self) -> int:
        """Its place among the router's targets."""

    @property
    def label(self) -> str:
        """The target's name."""


class CandidateNote(msgspec.Struct):
    """One target of a router. ``excluded``: why it is not in the ranking."""

    target: str
    place: int
    backends: list[str] = []
    score: float | None = None
    details: dict[str, Any] = {}
    excluded: str | None = None


class RouterNote(msgspec.Struct):
    """What one router made of the request. ``order``: target and its first backend, best first.

    ``probability`` is that of drawing the first of them, in this router alone.
    """

    router: str
    type: str
    candidates: list[CandidateNote] = []
    order: list[tuple[str, str]] = []
    probability: float = 1.0
    draws: list[float] = []
    notes: dict[str, Any] = {}
    inner: "list[RouterNote]" = []


class RouteNote(msgspec.Struct):
    """One route that was asked."""

    route: str
    order: float
    matched: bool


class Trail:
    """Collects notes. Routers open and close around the strategies that note things in them."""

    __slots__ = ("_open", "notes", "passed_over", "routers", "routes", "unfit")

    def __init__(self) -> None:
        self.routes: list[RouteNote] = []
        self.routers: list[RouterNote] = []
        self.passed_over: list[str] = []
        """Routes (or what stands for one) that had nothing to try."""
        self.notes: dict[str, Any] = {}
        self.unfit: Mapping[str, str] = {}
        """Backends that cannot take this request, and why."""
        self._open: list[RouterNote] = []

    def route(self, name: str, order: float, *, matched: bool) -> None:
        """Note that a route was asked."""
        self.routes.append(RouteNote(name, order, matched))

    def pass_over(self, route: str) -> None:
        """Note that ``route`` had nothing to try."""
        self.passed_over.append(route)

    def enter(self, router: str, kind: str) -> None:
        """Open a router; what is noted until ``leave`` is noted there."""
        note = RouterNote(router, kind)
        (self._open[-1].inner if self._open else self.routers).append(note)
        self._open.append(note)

    def leave(self, order: list[tuple[str, str]], probability: float) -> None:
        """Close the router that was opened last."""
        note = self._open.pop()
        note.order, note.probability = order, probability

    def note(self, key: str, value: Any) -> None:
        """Note a fact (JSON) about the ranking of the open router, or about the decision."""
        (self._open[-1].notes if self._open else self.notes)[key] = shown(value)

    def draw(self, uniform: float) -> None:
        """Note a number that was drawn."""
        if self._open:
            self._open[-1].draws.append(uniform)

    def score(self, candidate: Judged, value: float | None, **details: Any) -> None:
        """Note the number by which a candidate was judged (``None``: unknown), and its parts."""
        note = self._candidate(candidate)
        note.score, note.details = value, shown(details)

    def exclude(self, candidate: Judged, reason: str) -> None:
        """Note why a candidate is not in the ranking."""
        self._candidate(candidate).excluded = reason

    def leave_out(self, target: str, place: int, backend: str, reason: str) -> None:
        """Note why a backend of a target cannot be tried at all."""
        note = CandidateNote(target, place, [backend], excluded=reason)
        self._open[-1].candidates.append(note)

    def _candidate(self, candidate: Judged) -> CandidateNote:
        plan = getattr(candidate, "plan", None)
        backends = [attempt.backend.name for attempt in plan.attempts] if plan else []
        for note in self._open[-1].candidates:
            same = note.place == candidate.place and note.target == candidate.label
            if same and note.backends == backends and note.excluded is None:
                return note
        note = CandidateNote(candidate.label, candidate.place, backends)
        self._open[-1].candidates.append(note)
        return note
