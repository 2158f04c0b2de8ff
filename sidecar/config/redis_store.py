"""The documents in Redis: read at once, written at once, watched, and with a history."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from redis.exceptions import WatchError

from sidecar.config.documents import KINDS, Digester, Documents
from sidecar.config.redis_client import answering, connect, place
from sidecar.config.tracking import Changes, tracking
from sidecar.errors import StoreConflict

HISTORY_ENTRIES = 1000
HISTORY_BYTES = 64 * 1024 * 1024
"""Each entry holds the whole configuration: large ones leave room for fewer entries."""
_PAGE = 20

_RECORD = """
local version = tonumber(redis.call('GET', KEYS[1]) or '0')
if version ~= tonumber(ARGV[1]) or redis.call('GET', KEYS[2]) == ARGV[2] then return 0 end
version = version + 1
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'version', version, unpack(ARGV, 4))
redis.call('SET', KEYS[2], ARGV[2])
redis.call('SET', KEYS[1], version)
return version
"""
"""Compare and set: ARGV is the version that the documents were read at, their digest, the longest
history, and the fields of its entry. The history comes first: it is what may be refused."""


class Stamp(NamedTuple):
    """Which version the store is at, and the digest of the documents of that version.

    Documents edited by hand have another digest until somebody records them.
    """

    version: int
    digest: str | None


class Stored(NamedTuple):
    """What the store held at one moment."""

    documents: Documents
    version: int
    digest: str | None


class Change(NamedTuple):
    """An entry of the history. ``when`` is ISO 8601 in UTC.

    ``evidence``: the figures that a change was decided on, a JSON value, when it was by figures.
    """

    version: int
    when: str
    who: str
    what: str
    evidence: Any = None


class RedisStore:
    """A store of documents below one prefix.

    Every method raises StoreUnreachable when Redis does not answer, StoreError when it refuses.
    """

    def __init__(self, url: str, prefix: str = "pointsman:") -> None:
        self._redis: Any = connect(url, prefix)
        self._where = place(url)
        self.prefix = prefix
        self._version, self._digest = f"{prefix}version", f"{prefix}digest"
        self._history = f"{prefix}history"
        self._hashes = [f"{prefix}{kind}" for kind in KINDS]
        self._record = self._redis.register_script(_RECORD)

    @property
    def version_key(self) -> str:
        """The key of the version, as ``changes`` reports it."""
        return self._version

    async def load(self) -> Stored:
        """Return all documents and their version, as of one moment."""
        async with answering(self._where):
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.mget(self._version, self._digest)
                for key in self._hashes:
                    pipe.hgetall(key)
                stamp, *hashes = await pipe.execute()
            return Stored(Documents(*map(_texts, hashes)), *_stamp(stamp))

    async def stamp(self) -> Stamp:
        """Return version and digest only."""
        async with answering(self._where):
            return _stamp(await self._redis.mget(self._version, self._digest))

    def changes(self) -> AbstractAsyncContextManager[Changes]:
        """Open a connection on which Redis announces every write to documents or version."""
        return tracking(self._redis, [*self._hashes, self._version], self._where)

    async def apply(
        self,
        documents: Documents,
        *,
        based_on: Stored | int | None,
        who: str,
        what: str,
        evidence: Any = None,
    ) -> int:
        """Replace all documents at once and return the new version.

        ``based_on``: what was read before the change was made, or just its version. Raises
        StoreConflict when the store is not at that version any more; given all that was read,
        also when somebody edited by hand since. ``None``: whatever is there now. ``evidence``: a
        JSON value for the history.
        """
        keys = [self._version, self._digest, *self._hashes]
        kept = based_on.documents if isinstance(based_on, Stored) else None
        entry = await asyncio.to_thread(_entry, documents, who, what, kept)
        if evidence is not None:
            entry["evidence"] = msgspec.json.encode(evidence)
        async with answering(self._where), self._redis.pipeline(transaction=True) as pipe:
            await pipe.watch(*keys)
            stored = await self.load()
            _check_base(stored, based_on)
            pipe.multi()
            self._queue(pipe, stored, documents, entry)
            try:
                await pipe.execute()
            except WatchError:
                raise StoreConflict("somebody else wrote at the same time") from None
            return stored.version + 1

    async def record(self, stored: Stored, digest: str, *, who: str, what: str) -> int | None:
        """Give documents that were edited by hand a version and an entry in the history.

        Any number of nodes may call this for the same edit: one succeeds and gets the new version,
        the others get ``None``, and so does everybody whose documents are outdated.
        """
        entry = await asyncio.to_thread(_entry, stored.documents, who, what)
        fields = [part for pair in entry.items() for part in pair]
        arguments = [stored.version, digest, _entries(entry), *fields]
        async with answering(self._where):
            version = await self._record(
                keys=[self._version, self._digest, self._history], args=arguments
            )
            return int(version) or None

    async def history(self, count: int, before: int | None = None) -> list[Change]:
        """Return the last ``count`` changes, newest first; those ``before`` a version, if given."""
        found: list[Change] = []
        async with aclosing(self._newest_first(min(count, _PAGE))) as entries:
            async for fields in entries:
                change = _change(fields)
                if before is None or change.version < before:
                    found.append(change)
                if len(found) == count:
                    break
        return found

    async def entry_at(self, version: int) -> tuple[Change, Documents] | None:
        """Return what was written as a version, or ``None`` when the history has it no more."""
        async with aclosing(self._newest_first(_PAGE)) as entries:
            async for fields in entries:
                if int(fields[b"version"]) == version:
                    return _change(fields), Documents.parse(fields[b"config"])
        return None

    async def version_at(self, version: int) -> Documents | None:
        """Return the documents of a version, or ``None`` when the history has it no more."""
        entry = await self.entry_at(version)
        return None if entry is None else entry[1]

    async def write_status(self, node: str, status: Mapping[str, Any], ttl: float) -> None:
        """Tell what ``node`` runs, for ``ttl`` seconds, under the key ``status:<node>``."""
        async with answering(self._where):
            text = msgspec.json.encode(status)
            await self._redis.set(f"{self.prefix}status:{node}", text, px=int(ttl * 1000))

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()

    async def _newest_first(self, page: int) -> AsyncGenerator[Mapping[bytes, bytes], None]:
        """Yield the entries of the history, newest first, read ``page`` at a time."""
        last = "+"
        while True:
            async with answering(self._where):
                entries = await self._redis.xrevrange(self._history, max=last, count=page)
            for _, fields in entries:
                yield fields
            if len(entries) < page:
                return
            last = f"({entries[-1][0].decode()}"

    def _queue(self, pipe: Any, stored: Stored, new: Documents, entry: dict[str, Any]) -> None:
        """Queue the writes that turn what is stored into ``new``; the rest is left untouched."""
        for key, (kind, old) in zip(self._hashes, stored.documents.by_kind(), strict=True):
            texts = getattr(new, kind)
            if gone := [name for name in old if name not in texts]:
                pipe.hdel(key, *gone)
            if changed := {name: text for name, text in texts.items() if old.get(name) != text}:
                pipe.hset(key, mapping=changed)
        pipe.set(self._version, stored.version + 1)
        pipe.set(self._digest, Digester()(new))
        entry |= {"version": stored.version + 1}
        pipe.xadd(self._history, entry, maxlen=_entries(entry), approximate=True)


def _check_base(stored: Stored, based_on: Stored | int | None) -> None:
    if based_on is None:
        return
    version = based_on if isinstance(based_on, int) else based_on.version
    if stored.version != version:
        raise StoreConflict(f"the store is at version {stored.version}, not {version} any more")
    if isinstance(based_on, Stored) and stored.documents != based_on.documents:
        raise StoreConflict(f"somebody edited version {version} by hand since")


def _stamp(values: Sequence[bytes | None]) -> Stamp:
    version, digest = values
    return Stamp(int(version or 0), digest.decode() if digest else None)


def _texts(fields: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """A name that is no UTF-8 is escaped, so that a fault can name it."""
    return {name.decode(errors="backslashreplace"): text for name, text in fields.items()}


def _entry(
    documents: Documents, who: str, what: str, kept: Documents | None = None
) -> dict[str, Any]:
    # One document that is no JSON, and was there before, must not hold up the mending of others.
    when = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"who": who, "when": when, "what": what, "config": documents.to_json(kept=kept)}


def _entries(entry: Mapping[str, Any]) -> int:
    """Return how many entries like this one the history may have."""
    return max(10, min(HISTORY_ENTRIES, HISTORY_BYTES // len(entry["config"])))


def _text(fields: Mapping[bytes, bytes], name: str) -> str:
    return fields[name.encode()].decode(errors="replace")


def _change(fields: Mapping[bytes, bytes]) -> Change:
    when, who, what = (_text(fields, name) for name in ("when", "who", "what"))
    return Change(int(fields[b"version"]), when, who, what, _json(fields.get(b"evidence")))


def _json(text: bytes | None) -> Any:
    try:
        return None if text is None else msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
