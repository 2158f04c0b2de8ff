"""Past requests from Redis: their facts, joined with what was decided and what came of it."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
from redis.asyncio import Redis

from sidecar import whatif
from sidecar.telemetry import facts_log
from sidecar.telemetry.decision_log import Entry
from sidecar.telemetry.decision_reader import all_since, said_of
from sidecar.whatif import Decided, Outcome, Record

_BATCH = 500


async def read_records(
    redis: Redis, prefix: str, *, since: float, limit: int, feedback: str | None = None
) -> list[Record]:
    """Return at most the ``limit`` newest records since then (Unix seconds), oldest first.

    ``feedback``: a metric of feedback to read with them; several sources count as their mean.
    Raises what the client raises.
    """
    facts = await _read_facts(redis, prefix, since, limit)
    decided = await _read_decided(redis, prefix, since, facts)
    if feedback is not None:
        await _add_feedback(redis, prefix, decided, feedback)
    # The id begins with the time.
    return [Record(name, facts[name], decided.get(name)) for name in sorted(facts)]


async def read_facts(redis: Redis, prefix: str, since: float) -> AsyncIterator[tuple[str, Any]]:
    """Yield (id, facts) from now back to ``since`` (Unix seconds)."""
    async for _, fields in facts_log.newest(redis, facts_log.stream_key(prefix), since):
        logged = facts_log.read(fields)
        found = whatif.decode(logged.facts) if logged is not None else None
        if logged is not None and found is not None:
            yield logged.id, found


async def _read_facts(redis: Redis, prefix: str, since: float, limit: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async for name, facts in read_facts(redis, prefix, since):
        found[name] = facts
        if len(found) >= limit:
            break
    return found


async def _read_decided(
    redis: Redis, prefix: str, since: float, wanted: Iterable[str]
) -> dict[str, Decided]:
    left, found = set(wanted), {}
    async for entry in all_since(redis, prefix, since):
        if entry.id in left:
            left.remove(entry.id)
            found[entry.id] = _decided(entry)
            if not left:
                break
    return found


async def _add_feedback(
    redis: Redis, prefix: str, decided: dict[str, Decided], metric: str
) -> None:
    names = [*decided]
    for at in range(0, len(names), _BATCH):
        batch = names[at : at + _BATCH]
        for name, said in zip(batch, await said_of(redis, prefix, batch), strict=True):
            values = [one.value for one in said if one.metric == metric]
            if values:
                mean = {metric: sum(values) / len(values)}
                decided[name] = msgspec.structs.replace(decided[name], feedback=mean)


def _decided(entry: Entry) -> Decided:
    units = [one.unit for one in entry.assignments if one.unit]
    return Decided(
        route=entry.route,
        strategy=entry.strategy,
        backends=entry.backends,
        probability=entry.probability,
        version=entry.version,
        unit=units[0] if units else "",
        outcome=msgspec.convert(entry.outcome, Outcome, from_attributes=True),
    )
