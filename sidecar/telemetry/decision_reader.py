"""Reads the log of decisions: all of it, by pages, or one decision; and what was said about each.

What others put into the stream is passed over, and counts only as work.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis

from sidecar.telemetry.decision_index import decided_at
from sidecar.telemetry.decision_log import FIELD, Entry, read_entry, stream_key
from sidecar.telemetry.facts_log import PAGE, is_id, newest, text_of

MOST_SCANNED = 10_000
"""Entries that one page looks through: a filter may hold for none of them."""
MOST_SOUGHT = 50_000
"""Entries that are looked through for one decision."""
LONGEST_SECONDS = 3600.0
"""From a decision to its entry: the request has to be over."""
SKEW_SECONDS = 5.0
"""By how much the clock of a node may be ahead of that of Redis."""

_FIELD = FIELD.encode()


class Page(NamedTuple):
    """``next``: where to go on, ``None`` at the end. There may be more behind an empty page."""

    entries: list[Entry]
    next: str | None


class Said(NamedTuple):
    """Feedback of one source."""

    metric: str
    source: str
    value: float


async def all_since(redis: Redis, prefix: str, since: float) -> AsyncIterator[Entry]:
    """Yield entries from now back to ``since`` (Unix seconds). Raises what the client raises."""
    async for _, fields in newest(redis, stream_key(prefix), since):
        entry = _entry(fields)
        if entry is not None:
            yield entry


async def page(
    redis: Redis,
    prefix: str,
    limit: int,
    before: str | None = None,
    wanted: Callable[[Entry], bool] | None = None,
) -> Page:
    """Return at most ``limit`` entries that are ``wanted``, newest first.

    ``before``: the ``next`` of the page before. Raises what the client raises.
    """
    found: list[Entry] = []
    if before is not None and not before.strip("0-"):
        return Page(found, None)  # nothing is before the first; Redis calls that an error
    scanned, last = 0, before
    count = PAGE if wanted else min(PAGE, limit + 1)
    async for place, fields in newest(redis, stream_key(prefix), 0, before=before, page=count):
        entry = _entry(fields)
        if entry is not None and (wanted is None or wanted(entry)):
            if len(found) == limit:
                return Page(found, last)
            found.append(entry)
        scanned, last = scanned + 1, place
        if scanned >= MOST_SCANNED:
            return Page(found, last)
    return Page(found, None)


async def find(redis: Redis, prefix: str, identity: str) -> Entry | None:
    """Return the entry of a decision, if the log has it. Raises what the client raises.

    An id begins with the time of the decision, and the entry was written after it, mostly soon.
    """
    if not is_id(identity):
        return None
    decided, sought = decided_at(identity), identity.encode()
    first = f"{max(round((decided - SKEW_SECONDS) * 1000), 0)}"
    last = f"{round((decided + LONGEST_SECONDS) * 1000)}"
    for _ in range(MOST_SOUGHT // PAGE):
        entries: Any = await redis.xrange(stream_key(prefix), first, last, count=PAGE)
        for _, fields in entries:
            if sought in fields.get(_FIELD, b""):
                entry = _entry(fields)
                if entry is not None and entry.id == identity:
                    return entry
        if len(entries) < PAGE:
            return None
        first = f"({text_of(entries[-1][0])}"
    return None


async def said_of(redis: Redis, prefix: str, identities: Sequence[str]) -> list[list[Said]]:
    """Return what was said about each of these decisions. Raises what the client raises."""
    pipe = redis.pipeline(transaction=False)
    for identity in identities:
        pipe.hgetall(f"{prefix}feedback:{identity}")
    return [[*_said(fields)] for fields in await pipe.execute()]


def _said(fields: Mapping[bytes, bytes]) -> list[Said]:
    found = []
    for name, text in fields.items():
        metric, _, source = name.decode("utf-8", "replace").partition("|")
        try:
            found.append(Said(metric, source, float(text.split(b" ")[0])))
        except ValueError:
            continue
    return found


def _entry(fields: Mapping[Any, Any]) -> Entry | None:
    text = fields.get(_FIELD)
    return None if text is None else read_entry(text)
