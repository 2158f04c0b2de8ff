"""``GET /api/v1/decisions[/{id}]``: what was decided lately, and what came of it."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from redis.asyncio import Redis

from sidecar.admin.access import REFUSALS, require
from sidecar.admin.explain import Ask
from sidecar.admin.problems import documented, problem
from sidecar.config.redis_client import answering
from sidecar.telemetry import decision_reader
from sidecar.telemetry.decision_log import Entry
from sidecar.wire.explainer import Question

LIMIT, MOST = 50, 500

_WHERE = "the log of decisions"

Status = Literal["ok", "failed", "fallback"]

_NOT_SHOWN = (
    "Explanations of past decisions show parts of others' requests. The admin address is not "
    "loopback, so they are off; POINTSMAN_EXPLAIN_API=allow turns them on."
)


class Kept(NamedTuple):
    """How much the log of decisions keeps: about so many entries, for so many hours."""

    entries: int
    hours: float


class Filter(NamedTuple):
    """What decisions are asked for; ``None`` is any."""

    route: str | None
    backend: str | None
    status: Status | None
    model: str | None

    def takes(self, entry: Entry) -> bool:
        """Return whether it is among them."""
        return (
            self.route in {None, entry.route}
            and self.model in {None, entry.model}
            and (self.backend is None or self.backend in _tried(entry))
            and (self.status is None or _has(entry, self.status))
        )


def decisions_router(
    redis: Redis, prefix: str, kept: Kept, ask: Ask, *, trusted: bool
) -> APIRouter:
    """Return the endpoints. ``ask``: the workers of this node, who explain what they decided.

    ``trusted``: whoever reaches this may see parts of others' requests.
    """
    router = APIRouter(
        prefix="/api/v1/decisions",
        dependencies=[Depends(require("viewer"))],
        responses=REFUSALS | documented(422, 503),
    )

    @router.get("", summary="Past decisions, newest first", response_class=Response)
    async def listed(
        limit: Annotated[int, Query(ge=1, le=MOST)] = LIMIT,
        route: Annotated[str | None, Query(description="The route that decided")] = None,
        backend: Annotated[str | None, Query(description="Any backend that was tried")] = None,
        status: Annotated[Status | None, Query(description="fallback: after a failure")] = None,
        model: Annotated[
            str | None, Query(description="Of the backend that was tried last")
        ] = None,
        before: Annotated[
            str | None,
            Query(pattern=r"^\d{1,18}-\d{1,18}$", description="`next` of the page before"),
        ] = None,
    ) -> Response:
        asked = Filter(route, backend, status, model)
        wanted = asked.takes if any(asked) else None
        async with answering(_WHERE):
            page = await decision_reader.page(redis, prefix, limit, before, wanted)
        return _json({"decisions": [*map(_shown, page.entries)], "next": page.next})

    @router.get(
        "/{id}",
        summary="One decision: what came of it, and why it was made",
        response_class=Response,
        responses=documented(404),
    )
    async def one(decision: Annotated[str, Path(alias="id", max_length=100)]) -> Response:
        async with answering(_WHERE):
            entry = await decision_reader.find(redis, prefix, decision)
            if entry is None:
                return problem(404, "Unknown decision", _unknown(decision, kept))
            [said] = await decision_reader.said_of(redis, prefix, [decision])
        explained = await _explained(ask, decision) if trusted else _why_not(_NOT_SHOWN)
        more = {"attempts": [*_attempts(entry)], "feedback": [one._asdict() for one in said]}
        return _json(_shown(entry) | more | explained)

    return router


def _shown(entry: Entry) -> dict[str, Any]:
    """Return all fields of an entry, those that are empty too."""
    shown = msgspec.structs.asdict(entry)
    del shown["facts"]
    return shown | {
        "assignments": [one._asdict() for one in entry.assignments],
        "pinned": entry.pinned,
        "outcome": msgspec.structs.asdict(entry.outcome),
    }


def _tried(entry: Entry) -> tuple[str, ...]:
    return (*entry.backends[: entry.outcome.attempts], entry.outcome.backend)


def _has(entry: Entry, status: Status) -> bool:
    came = entry.outcome
    match status:
        case "ok":
            return came.answered
        case "fallback":
            return came.attempts > 1
        case "failed":
            # Without a status it is the client that left, unless a backend is at fault.
            return not came.answered and (came.error or came.status > 0)


def _attempts(entry: Entry) -> Iterator[dict[str, Any]]:
    """Yield the attempts in order; of those before the last, only that they failed is known."""
    came = entry.outcome
    for name in entry.backends[: max(0, came.attempts - 1)]:
        yield {"backend": name, "answered": False, "status": None}
    if came.backend:
        yield {"backend": came.backend, "answered": came.answered, "status": came.status or None}


async def _explained(ask: Ask, decision: str) -> dict[str, Any]:
    reply = await ask(Question(id=decision), msgspec.json.encode({"id": decision}))
    if reply.problem is not None:
        return _why_not(reply.problem.detail)
    return {"explanation": reply.explanation, "not_explained": None}


def _why_not(reason: str) -> dict[str, Any]:
    return {"explanation": None, "not_explained": reason}


def _unknown(decision: str, kept: Kept) -> str:
    if not kept.entries:
        return "No decisions are logged: POINTSMAN_DECISION_LOG is 0."
    return (
        f'The log has no decision "{decision[:64]}". It keeps about {kept.entries:,} of them, each '
        f"for {kept.hours:g} hours at most, from a second after the request is over; requests that "
        "were refused are no decisions."
    )


def _json(value: object) -> Response:
    body = msgspec.json.encode(value)
    return Response(body, media_type="application/json", headers={"cache-control": "no-store"})
