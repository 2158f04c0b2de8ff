"""What an explanation says. Its JSON is for scripts: field names stay what they are."""

from typing import Any, Literal

import msgspec

from sidecar.match import Clause
from sidecar.model import RouterNote

Step = Literal["(inline)", "(router)", "route", "(model)", "(default)", "(budget)"]
"""By which rule of precedence it was decided (docs/rules.md, Which rule decides)."""


class AskedRequest(msgspec.Struct):
    """The request, as far as rules look at it at first."""

    path: str
    operation: str
    model: str | None
    stream: bool
    bytes: int


class RouteReason(msgspec.Struct):
    """One route that was asked. ``why`` is ``None`` when it has no condition.

    ``passed_over``: it matched, and its router had nothing to try.
    """

    name: str
    order: float
    matched: bool
    passed_over: bool = False
    why: Clause | None = None


class SkippedRoutes(msgspec.Struct):
    """Routes that are not listed one by one, and what is the reason; ``names``: some of them."""

    count: int
    why: str
    names: list[str] = []


class Change(msgspec.Struct):
    """A splice of the body: ``removed`` bytes at ``at`` become ``text``."""

    at: int
    removed: int
    text: str


class PlannedAttempt(msgspec.Struct):
    """One attempt of the plan, and what the client's body becomes for it."""

    backend: str
    provider: str
    model: str
    parameters: dict[str, Any]
    changes: list[Change]


class ExplainedPlan(msgspec.Struct):
    """What is tried, in order. ``probability`` is that of all draws on the way to the first.

    ``effects``: what the routers on that way want to be remembered.
    """

    strategy: str
    probability: float
    attempts: list[PlannedAttempt]
    effects: list[dict[str, Any]] = []


class Recollection(msgspec.Struct):
    """What was read of what earlier requests left behind: ``turn``, ``pin``, ``usage``, …"""

    kind: str
    key: Any
    value: Any


class Refusal(msgspec.Struct):
    """Why the request was refused, as the client was told."""

    code: str
    status: int
    message: str
    param: str | None


class Explanation(msgspec.Struct, kw_only=True):
    """Why one request went where it went, or was refused.

    ``at`` is ISO 8601 in UTC. ``step`` is ``None`` when nothing was decided. ``routes`` has those
    that were asked, in order, up to the one that decided. ``passed_over``: what had nothing to
    try. ``routers``: what each router that was asked made of it, the deciding one last.
    """

    id: str
    config_version: int
    at: str
    request: AskedRequest | None = None
    step: Step | None = None
    route: str | None = None
    routes: list[RouteReason] = []
    skipped: list[SkippedRoutes] = []
    passed_over: list[str] = []
    routers: list[RouterNote] = []
    memory: list[Recollection] = []
    plan: ExplainedPlan | None = None
    warnings: list[str] = []
    notes: dict[str, Any] = {}
    refusal: Refusal | None = None
