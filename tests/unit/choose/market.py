"""The shop with prices, and requests at a time of day, with work under way and a trail."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from sidecar import facts
from sidecar.choose import plan
from sidecar.model import BackendStats, Context, Leaf, Plan, Price, RouterNote, Trail
from tests.unit.choose.world import STORED, Shop, build, context


class Market(Shop):
    """A shop whose backends have prices: name → (input, output), in millionths of a dollar."""

    def __init__(
        self, prices: Mapping[str, tuple[float, float]], stored: Mapping[str, Any] = STORED
    ) -> None:
        super().__init__(stored)
        self._prices = {
            name: Price(given / 1e6, answer / 1e6) for name, (given, answer) in prices.items()
        }

    def leaf(self, name: str, parameters: Mapping[str, Any]) -> Leaf | None:
        leaf = super().leaf(name, parameters)
        priced = [
            replace(one, price=self._prices.get(one.name, Price()))
            for one in (leaf.backends if leaf else ())
        ]
        return leaf and replace(leaf, backends=tuple(priced))


def asked(case: Mapping[str, Any]) -> Context:
    """Return the context that a case of a table describes."""
    made = context(
        case.get("uniforms", ()), stats=case.get("stats"), unready=case.get("unready", ())
    )
    request = facts.read(
        case.get("path", "/v1/chat/completions"),
        case.get("headers", {}),
        case.get("body", "{}").encode(),
    )
    backends = dict(made.stats.backends)
    for name, count in case.get("in_flight", {}).items():
        backends[name] = replace(backends.get(name, BackendStats()), in_flight=count)
    now = datetime.fromisoformat(case["now"]).timestamp() if "now" in case else made.now
    stats = replace(made.stats, backends=backends)
    return made._replace(request=request, stats=stats, now=now, warnings=[])


def explained(case: Mapping[str, Any]) -> tuple[Plan | None, RouterNote, list[str]]:
    """Plan a case twice, silently and with a trail; return plan, note of the router, warnings.

    A trail must change nothing.
    """
    router = build(case["router"], shop=Market(case.get("prices", {})))
    silent, told = asked(case), asked(case)._replace(trail=Trail())

    found = plan(router, silent)

    assert plan(router, told) == found
    assert silent.entropy.left == told.entropy.left == [], "not all of the uniforms were drawn"
    assert silent.warnings == told.warnings
    return found, told.trail.routers[0], silent.warnings
