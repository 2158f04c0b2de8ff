"""The log of requests' facts: a stream in Redis, ``{prefix}facts``, capped by length and by age.

One entry per sampled request: field ``i`` is its decision's id, ``f`` its facts as JSON. Whoever
reads it joins it by id with the log of decisions, which has what came of the request.
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, NamedTuple, Protocol

ID, FACTS = b"i", b"f"
_PAGE = 1000


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


async def newest(redis: Ranging, key: str, since: float) -> AsyncIterator[dict[Any, Any]]:
    """Yield the fields of a stream's entries from now back to ``since`` (Unix seconds)."""
    last, first = "+", f"{max(round(since * 1000), 0)}"
    while True:
        page = await redis.xrevrange(key, last, first, count=_PAGE)
        for _, fields in page:
            yield fields
        if len(page) < _PAGE:
            return
        last = f"({_text(page[-1][0])}"


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


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
