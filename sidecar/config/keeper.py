"""What one process of each node writes: the history, the last good configuration, the status."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import structlog

from sidecar.config import files
from sidecar.config.documents import Documents
from sidecar.config.redis_store import RedisStore, Stored
from sidecar.errors import StoreError, StoreUnreachable

STATUS_SECONDS = 10.0
"""Between two writes of the status when there is no news; it lives three times as long."""
NEWS_GAP_SECONDS = 0.2
RECORD_GAP_SECONDS = 1.0
"""While edits keep coming, one version a second: a burst must not push out the whole history."""
MOST_NAMES = 5

_log = structlog.get_logger()


class Keeper:
    """Writes behind the feed, which sets ``documents`` (the live ones) and then ``news``."""

    def __init__(self, store: RedisStore, state_dir: Path, node: str) -> None:
        self.documents: Documents | None = None
        self.news = asyncio.Event()
        self._store = store
        self._state_dir = state_dir
        self._node = node
        self._recorded: Documents | None = None
        self._recorded_at = 0.0
        self._saved: tuple[str, int] | None = None

    async def record(self, stored: Stored, digest: str, *, busy: bool) -> None:
        """Give an edit by hand its version; ``busy``: more edits have arrived already."""
        if busy and monotonic() - self._recorded_at < RECORD_GAP_SECONDS:
            return
        if stored.digest != digest:
            what = _describe(stored.documents, self._recorded)
            try:
                await self._store.record(stored, digest, who="redis", what=what)
            except StoreUnreachable:
                raise
            except StoreError as error:  # it takes no writes now: rules are live all the same
                _log.warning("edit_not_recorded", error=str(error))
            self._recorded_at = monotonic()
        self._recorded = stored.documents

    async def run(self, report: Callable[[], dict[str, Any]]) -> None:
        """Write the last good configuration and the status at each news, until cancelled."""
        while True:
            # Not wait_for: before Python 3.12 it loses a cancellation that meets the news.
            with suppress(TimeoutError):
                async with asyncio.timeout(STATUS_SECONDS):
                    await self.news.wait()
            self.news.clear()
            status = report()
            await self._save(status["digest"], status["version"])
            with suppress(StoreError):  # the feed has noticed it as well, and says so
                await self._store.write_status(self._node, status, 3 * STATUS_SECONDS)
            await asyncio.sleep(NEWS_GAP_SECONDS)

    async def _save(self, digest: str | None, version: int) -> None:
        documents = self.documents
        if documents is None or digest is None or self._saved == (digest, version):
            return
        try:
            await asyncio.to_thread(
                files.save_last_good, self._state_dir, documents, version, digest
            )
        except OSError as error:
            _log.warning("last_good_not_saved", folder=str(self._state_dir), error=str(error))
        self._saved = (digest, version)


def _describe(documents: Documents, before: Documents | None) -> str:
    """Return what the history says about an edit by hand."""
    names = documents.changed_since(before) if before else []
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ": ".join(["edited by hand", *filter(None, [", ".join(names[:MOST_NAMES]) + more])])
