"""The feed: keeps a process's snapshot equal to the store, whatever happens to the store."""

import asyncio
from pathlib import Path
from time import monotonic, time
from typing import Any, Literal

import structlog

from sidecar.config import files
from sidecar.config.documents import Documents
from sidecar.config.experiments import Mixtures
from sidecar.config.keeper import Keeper
from sidecar.config.redis_store import RedisStore
from sidecar.config.snapshot_cache import Rejection, SnapshotCache
from sidecar.config.tracking import Changes
from sidecar.errors import ConfigError, StoreError
from sidecar.model import Snapshot

Source = Literal["redis", "last_good", "fallback"]

MIN_GAP_SECONDS = 0.02
MAX_GAP_SECONDS = 0.25
"""Between two reloads while edits keep coming; the first after a quiet moment starts at once."""
FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 1.0
MOST_FAULTS_LOGGED = 20

_log = structlog.get_logger()


class ConfigFeed:
    """Loads, watches and reloads; ``run`` is the task of it, one in each process.

    ``writer``: this process also records edits, keeps the last good configuration in
    ``state_dir`` and writes the status of ``node``; one process of a node does.
    """

    def __init__(
        self,
        store: RedisStore,
        cache: SnapshotCache,
        *,
        state_dir: Path,
        fallback: Path | None = None,
        node: str = "",
        writer: bool = False,
    ) -> None:
        self.store_up: bool | None = None
        """Whether the last attempt to read the store succeeded; ``None`` before the first."""
        self.source: Source | None = None
        """Where the live snapshot came from."""
        self._store = store
        self._cache = cache
        self._state_dir = state_dir
        self._fallback = fallback
        self._keeper = Keeper(store, state_dir, node) if writer else None
        self._took = 0.0
        self._notes: dict[str, object] = {}
        self._mixtures = Mixtures()
        # All processes of a node see the same; one of them telling it is enough.
        self._tell = _log.warning if writer else _log.debug

    @property
    def age(self) -> float | None:
        """Seconds since the live content became live, or ``None`` without any."""
        return time() - self._cache.since if self._cache.current else None

    def report(self) -> dict[str, Any]:
        """Return what operators ask first, as JSON values."""
        current, rejection = self._cache.current, self._cache.rejection
        return {
            "store_up": self.store_up,
            "source": self.source,
            "version": current.version if current else None,
            "digest": current.digest if current else None,
            "rejection": rejection.report() if rejection else None,
            **self._notes,
        }

    def note(self, name: str, value: object) -> None:
        """Add a JSON value to the report: what others of this process have to say about rules."""
        self._notes[name] = value
        self._noted()

    async def run(self) -> None:
        """Follow the store until cancelled; no fault of the store or of documents ends this."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._stay_connected())
            if self._keeper:
                tasks.create_task(self._keeper.run(self.report))

    async def _stay_connected(self) -> None:
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                async with self._store.changes() as changes:
                    await self._reload(changes)
                    delay = FIRST_RETRY_SECONDS
                    await self._follow(changes)
            except StoreError as error:
                await self._lost(error)
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_RETRY_SECONDS)

    async def _follow(self, changes: Changes) -> None:
        """Reload after changes; all that arrive during one reload cost one more."""
        only_version = frozenset({self._store.version_key})
        ended = monotonic()
        while True:
            changed = await changes.wait()
            if changed == only_version and await self._relabel():
                continue
            # A gap as long as the last reload leaves half of the processor to requests.
            gap = min(max(MIN_GAP_SECONDS, self._took), MAX_GAP_SECONDS)
            await asyncio.sleep(ended + gap - monotonic())
            await changes.arrived()
            await self._reload(changes)
            ended = monotonic()

    async def _relabel(self) -> bool:
        """Take over a new version of the very content that is live; tell whether it is."""
        stamp = await self._store.stamp()
        current, refused = self._cache.current, self._cache.rejection
        if current is None or refused or current.digest != stamp.digest:
            return False
        self._cache.relabel(stamp.version)
        self._noted()
        return True

    async def _reload(self, changes: Changes) -> None:
        started = monotonic()
        stored = await self._store.load()
        prepared = await self._prepare(stored.documents, stored.version)
        if not self.store_up:
            self.store_up = True
            _log.info("store_up", version=stored.version)
        if isinstance(prepared, Rejection) and self._cache.current is None:
            await self._use_last_good()
        accepted = self._install(prepared, "redis", stored.documents)
        self._took = monotonic() - started
        if accepted and self._keeper:
            await self._keeper.record(stored, prepared.digest, busy=await changes.pending())

    async def _prepare(self, documents: Documents, version: int) -> Snapshot | Rejection:
        """Compile in a thread: requests go on meanwhile, if slower."""
        return await asyncio.to_thread(self._cache.prepare, documents, version)

    def _install(
        self, prepared: Snapshot | Rejection, source: Source, documents: Documents
    ) -> bool:
        seen, content = self._cache.rejection, self._cache.accepted
        accepted = self._cache.install(prepared)
        if accepted:
            self.source = source
            if self._keeper and source == "redis":
                self._compare(self._keeper.documents, documents)
                self._keeper.documents = documents
        if self._cache.accepted > content:
            _log.info("config_live", source=source, version=prepared.version)
        if isinstance(prepared, Rejection) and prepared is not seen:
            faults = [str(fault) for fault in prepared.faults[:MOST_FAULTS_LOGGED]]
            self._tell("config_rejected", source=source, code=prepared.code, faults=faults)
        self._noted()
        return accepted

    def _compare(self, before: Documents | None, documents: Documents) -> None:
        """Tell of experiments whose data is of more than one design from now on.

        A store takes what is written into it: only `apply` and the API can refuse such an edit.
        """
        if before is None or before.experiments == documents.experiments:
            return
        known = self._notes.get("mixed_experiments")
        found = self._mixtures.note(before, documents)
        self._notes["mixed_experiments"] = found
        if found and found != known:
            self._tell("experiments_mixed", faults=found[:MOST_FAULTS_LOGGED])

    async def _lost(self, error: StoreError) -> None:
        """Note that the store cannot be reached; without rules, look for some on disk."""
        if self.store_up is not False:
            self._tell("store_down", error=str(error))
        self.store_up = False
        self._noted()
        if self._cache.current is None and not await self._use_last_good() and self._fallback:
            await self._use_fallback(self._fallback)

    async def _use_last_good(self) -> bool:
        try:
            kept = await asyncio.to_thread(files.load_last_good, self._state_dir)
        except ConfigError as error:
            self._tell("last_good_damaged", faults=[str(fault) for fault in error.faults])
            return False
        if kept is None:
            return False
        prepared = await self._prepare(kept.documents, kept.version)
        if isinstance(prepared, Rejection):
            self._tell("last_good_refused", faults=[str(fault) for fault in prepared.faults])
            return False
        return self._install(prepared, "last_good", kept.documents)

    async def _use_fallback(self, path: Path) -> None:
        try:
            documents = await asyncio.to_thread(files.load, path)
        except ConfigError as error:
            self._tell("fallback_unreadable", faults=[str(fault) for fault in error.faults])
        else:
            self._install(await self._prepare(documents, 0), "fallback", documents)

    def _noted(self) -> None:
        if self._keeper:
            self._keeper.news.set()
