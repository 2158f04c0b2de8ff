"""The routes that were asked, and why each matched or not, from the texts of their documents."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from sidecar import match
from sidecar.explain.explanation import RouteReason, SkippedRoutes
from sidecar.model import Context, RouteNote, Snapshot, Trail, shown

MOST_ROUTES = 100
"""Routes that are explained one by one; of more, the last ones."""
_MOST_NAMES = 5


class _Rule(msgspec.Struct):
    """What of a route's document matters here; it was checked when it was compiled."""

    order: float = 100.0
    match: dict[str, Any] | None = None


class _Place(NamedTuple):
    """Where a route stands among all of them."""

    order: float
    name: str


def explain_routes(
    snapshot: Snapshot, context: Context, trail: Trail
) -> tuple[list[RouteReason], list[SkippedRoutes]]:
    """Return the routes that were asked, in order, and how many others there are before the end.

    The end is the route that decided, or the last route of all.
    """
    asked = trail.routes
    listed = [_reason(note, snapshot, context, trail) for note in asked[-MOST_ROUTES:]]
    end = None
    if listed and listed[-1].matched and not listed[-1].passed_over:
        end = _Place(listed[-1].order, listed[-1].name)
    model = context.request.model
    other = "pinned to a model, and there is none" if model is None else _not_model(model)
    skipped = [
        _skipped("did not match", [_Place(one.order, one.route) for one in asked[:-MOST_ROUTES]]),
        _skipped("switched off", _before(end, _switched_off(snapshot))),
        _skipped(other, _before(end, _pinned_elsewhere(snapshot, model))),
    ]
    return listed, [one for one in skipped if one.count]


def _reason(note: RouteNote, snapshot: Snapshot, context: Context, trail: Trail) -> RouteReason:
    reason = RouteReason(note.route, note.order, note.matched, note.route in trail.passed_over)
    text = snapshot.route_texts.get(note.route)
    rule = msgspec.json.decode(text, type=_Rule) if text else _Rule()
    if rule.match is not None:
        reason.why = match.explain_condition(rule.match, context, snapshot.flags)
    return reason


def _not_model(model: str) -> str:
    return f'model is not "{shown(model)}"'


def _switched_off(snapshot: Snapshot) -> Iterable[_Place]:
    live = {route.name for route in snapshot.route_list}
    for name, text in snapshot.route_texts.items():
        if name not in live:
            yield _Place(msgspec.json.decode(text, type=_Rule).order, name)


def _pinned_elsewhere(snapshot: Snapshot, model: str | None) -> Iterable[_Place]:
    for route in snapshot.route_list:
        if route.models is not None and model not in route.models:
            yield _Place(route.order, route.name)


def _before(end: _Place | None, places: Iterable[_Place]) -> list[_Place]:
    return sorted(place for place in places if end is None or place < end)


def _skipped(why: str, places: list[_Place]) -> SkippedRoutes:
    return SkippedRoutes(len(places), why, [place.name for place in places[:_MOST_NAMES]])
