"""Past requests from Redis: their facts, joined with what was decided and what came of it."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from redis.asyncio import Redis

from sidecar import whatif
from sidecar.telemetry import decision_log, facts_log
from sidecar.telemetry.decision_log import Entry, Result
from sidecar.whatif import Decided, Outcome, Record

_BATCH = 500
_FIELD = decision_log.FIELD.encode()


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


async def read_entries(redis: Redis, prefix: str, since: float) -> AsyncIterator[Entry]:
    """Yield the log of decisions from now back to ``since`` (Unix seconds)."""
    async for fields in facts_log.newest(redis, decision_log.stream_key(prefix), since):
        text = fields.get(_FIELD)
        entry = decision_log.read_entry(text) if text is not None else None
        if entry is not None:
            yield entry


async def read_facts(redis: Redis, prefix: str, since: float) -> AsyncIterator[tuple[str, Any]]:
    """Yield (id, facts) from now back to ``since`` (Unix seconds)."""
    async for fields in facts_log.newest(redis, facts_log.stream_key(prefix), since):
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
    async for entry in read_entries(redis, prefix, since):
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
        pipe = redis.pipeline(transaction=False)
        for name in batch:
            pipe.hgetall(f"{prefix}feedback:{name}")
        for name, fields in zip(batch, await pipe.execute(), strict=True):
            values = _values(fields, metric)
            if values:
                mean = sum(values) / len(values)
                decided[name] = _with_feedback(decided[name], metric, mean)


def _values(fields: dict[bytes, bytes], metric: str) -> Sequence[float]:
    wanted = f"{metric}|".encode()
    texts = [text.split(b" ")[0] for name, text in fields.items() if name.startswith(wanted)]
    try:
        return [float(text) for text in texts]
    except ValueError:
        return []


def _with_feedback(past: Decided, metric: str, value: float) -> Decided:
    return Decided(
        route=past.route,
        strategy=past.strategy,
        backends=past.backends,
        probability=past.probability,
        version=past.version,
        unit=past.unit,
        outcome=past.outcome,
        feedback={metric: value},
    )


def _decided(entry: Entry) -> Decided:
    units = [one.unit for one in entry.assignments if one.unit]
    return Decided(
        route=entry.route,
        strategy=entry.strategy,
        backends=entry.backends,
        probability=entry.probability,
        version=entry.version,
        unit=units[0] if units else "",
        outcome=_outcome(entry.outcome),
    )


def _outcome(came: Result) -> Outcome:
    return Outcome(
        answered=came.answered,
        error=came.error,
        backend=came.backend,
        latency_ms=came.latency_ms,
        ttft_ms=came.ttft_ms,
        input_tokens=came.input_tokens,
        output_tokens=came.output_tokens,
        cost_usd=came.cost_usd,
    )
