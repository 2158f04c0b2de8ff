"""The log of requests' facts: a stream in Redis, ``{prefix}facts``, capped by length and by age.

One entry per sampled request: field ``i`` is its decision's id, ``f`` its facts as JSON. Whoever
reads it joins it by id with the log of decisions, which has what came of the request.
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, NamedTuple, Protocol

ID, FACTS = b"i", b"f"
PAGE = 1000
"""Entries that are read at once."""


class Logged(NamedTuple):
    """An entry: the decision's id, and the facts as they were written."""

    id: str
    facts: bytes


class Pipelining(Protocol):
    """What is needed of redis.asyncio's clients to write."""

    def pipeline(self, transaction: bool = True) -> Any:
        """Return a pipeline."""


class Ranging(Protocol):
    """What is needed of redis.asyncio's clients to read."""

    def xrevrange(
        self, name: str, last: str, first: str, /, *, count: int | None
    ) -> Awaitable[Any]:
        """Return entries of a stream, newest first."""


def stream_key(prefix: str) -> str:
    """Return the key of the stream."""
    return f"{prefix}facts"


async def write(
    redis: Pipelining, prefix: str, entries: Sequence[Logged], *, most: int, oldest: float
) -> None:
    """Add ``entries``; keep about ``most``, and about none from before ``oldest`` (Unix seconds).

    Raises what the client raises.
    """
    pipe, key = redis.pipeline(transaction=False), stream_key(prefix)
    for one in entries:
        pipe.xadd(key, {ID: one.id, FACTS: one.facts}, maxlen=most, approximate=True)
    pipe.xtrim(key, minid=f"{round(oldest * 1000)}", approximate=True)
    await pipe.execute()


async def newest(
    redis: Ranging, key: str, since: float, *, before: str | None = None, page: int = PAGE
) -> AsyncIterator[tuple[str, dict[Any, Any]]]:
    """Yield id and fields of a stream's entries, from now back to ``since`` (Unix seconds).

    ``before``: the id of an entry to go on from. Raises what the client raises.
    """
    last, first = f"({before}" if before else "+", f"{max(round(since * 1000), 0)}"
    while True:
        entries = await redis.xrevrange(key, last, first, count=page)
        for place, fields in entries:
            yield text_of(place), fields
        if len(entries) < page:
            return
        last = f"({text_of(entries[-1][0])}"


def read(fields: dict[Any, Any]) -> Logged | None:
    """Return what an entry holds; ``None`` when it is not ours."""
    identity, facts = fields.get(ID), fields.get(FACTS)
    if not isinstance(identity, bytes) or not isinstance(facts, bytes):
        return None
    text = identity.decode("ascii", "replace")
    return Logged(text, facts) if is_id(text) else None


def is_id(text: str) -> bool:
    """Whether ``text`` is the id of a decision: 28 hex digits."""
    return len(text) == 28 and all(char in "0123456789abcdef" for char in text)


def text_of(value: Any) -> str:
    """Return an id of Redis as text."""
    return value.decode() if isinstance(value, bytes) else str(value)
