"""The check `rate_limiter`: how much of a limit a user, a tier or anybody else has used."""

import json
import math
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from sidecar.choose.conditional.checks import CheckFailed, Result
from sidecar.choose.definition import Site
from sidecar.choose.fields import part
from sidecar.choose.pricing import rate_at, tokens_in, tokens_out
from sidecar.choose.rendezvous import key_text
from sidecar.model import Accessor, Candidate, Context, Count, Effect

Per = Literal["minute", "hour", "day", "month", "total"]

_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_ENTITIES = {"user_id": "user.id", "user_tier": "user.tier"}
"""LangDB's names of subjects."""

_SLACK = 60.0
"""Nodes whose clocks go behind still count into a period that is over."""
_FOREVER = 10 * 365 * 86400.0
_LONGEST_INLINE = 86400.0
"""Counts that requests name can be any number, so they do not stay."""

_ANSWER_TOKENS = 256
"""Expected of a request that sets no limit."""


class Period(NamedTuple):
    """Unix times, half-open."""

    start: int
    end: float


class RateLimit(msgspec.Struct, frozen=True):
    """Counts requests or dollars under a key of router, check, entity and period.

    What is read was counted before this request: ``allowed`` while it is below the limit. In a
    key the entity is only a hash, since names of users have no place in Redis.
    """

    name: str
    limit: float
    per: Per
    cost: bool
    subject: str
    entity: Accessor
    prefix: str
    identity: Any
    """Hash state (BLAKE2b) of what is counted, to which each request adds for whom."""
    inline: bool
    fields: tuple[str, ...] = ("entity_id", "current_usage", "limit", "remaining", "allowed")

    def run(self, context: Context) -> Result:
        """Return what was used of the limit; fails without an entity."""
        entity = self._entity(context)
        usage = context.memory.usage(self._key(entity, context))
        return {
            "entity_id": entity,
            "current_usage": usage,
            "limit": self.limit,
            "remaining": max(self.limit - usage, 0.0),
            "allowed": usage < self.limit,
        }

    def effects(self, result: Result, first: Candidate, context: Context) -> tuple[Effect, ...]:
        """Return the count of this request, if it was allowed."""
        if not result["allowed"]:
            return ()
        amount = expected_cost(first, context) if self.cost else 1.0
        seconds = min(_period(self.per, context.now).end - context.now + _SLACK, _FOREVER)
        if self.inline:
            seconds = min(seconds, _LONGEST_INLINE)
        return (Count(self._key(result["entity_id"], context), amount, seconds),)

    def _entity(self, context: Context) -> str:
        entity = key_text(self.entity(context))
        if entity is None:
            raise CheckFailed(f"the request has no {self.subject}")
        return entity

    def _key(self, entity: str, context: Context) -> str:
        identity = self.identity.copy()
        if self.inline:
            # One caller's made-up limit must not be used up by another's of the same name.
            identity.update(f"{context.request.api_key or ''}\0".encode())
        identity.update(entity.encode("utf-8", "surrogatepass"))
        start = _period(self.per, context.now).start
        return f"{self.prefix}:{identity.hexdigest()}:{self.per}:{start}"


def expected_cost(first: Candidate, context: Context) -> float:
    """Return what the request may cost where it goes first, in US dollars: an estimate."""
    request = context.request
    rate = rate_at(first.backend, request, context.now)
    return rate.cost(tokens_in(request), tokens_out(request, _ANSWER_TOKENS))


class Document(msgspec.Struct, frozen=True):
    """``target``: what is counted. ``entity``: a SUBJECT, or LangDB's word for one."""

    name: str
    limit: Annotated[float, msgspec.Meta(ge=0)]
    period: Per
    entity: str
    target: Literal["requests", "cost"] = "requests"


def rate_limiter(document: Any, site: Site, where: str) -> RateLimit | None:
    """Compile the check; what is wrong with it goes to ``site``."""
    found = part(document, Document, site, where)
    if found is None:
        return None
    subject = _ENTITIES.get(found.entity, found.entity)
    entity = site.accessor(subject, f"{where}.entity")
    if entity is None:
        return None
    counted = json.dumps([site.name, found.name, found.target, subject]).encode()
    inline = not site.strict
    return RateLimit(
        name=found.name,
        limit=found.limit,
        per=found.period,
        cost=found.target == "cost",
        subject=subject,
        entity=entity,
        # Texts of clients, of any length, are in no key.
        prefix="rate:inline" if inline else f"rate:{site.name}:{found.name}",
        identity=blake2b(counted, digest_size=16, person=b"inline" if inline else b"stored"),
        inline=inline,
    )


def _period(per: Per, now: float) -> Period:
    """Return the period around ``now``, in UTC."""
    seconds = _SECONDS.get(per)
    if seconds is not None:
        start = int(now // seconds) * seconds
        return Period(start, start + seconds)
    if per == "total":
        return Period(0, math.inf)
    today = datetime.fromtimestamp(now, UTC)
    first = datetime(today.year, today.month, 1, tzinfo=UTC)
    following = datetime(today.year + today.month // 12, today.month % 12 + 1, 1, tzinfo=UTC)
    return Period(int(first.timestamp()), following.timestamp())
