"""The live snapshot: compiled off to the side, swapped in one assignment, never half."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from time import time
from typing import Any

import msgspec

from sidecar.config.compile import Memo, compile_snapshot
from sidecar.config.documents import Documents
from sidecar.errors import ConfigError, Fault
from sidecar.model import Policy, Snapshot

STORE_EMPTY = "store_empty"
INTERNAL = "internal"
_MANY_OBJECTS = 100_000


class Rejection(msgspec.Struct, frozen=True):
    """Documents that were refused. ``when``: Unix time in seconds; ``code``: metric label."""

    when: float
    version: int
    digest: str
    code: str
    faults: tuple[Fault, ...]

    def report(self) -> dict[str, Any]:
        """Return it as JSON values, for status pages."""
        return {
            "when": self.when,
            "version": self.version,
            "code": self.code,
            "faults": [fault._asdict() for fault in self.faults],
        }


class SnapshotCache:
    """The current snapshot and the last rejection. Refused documents never disturb the current.

    Read ``current`` once per request and keep what it gave.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.current: Snapshot | None = None
        self.rejection: Rejection | None = None
        self.accepted = 0
        self.rejected: dict[str, int] = {}
        """How many documents were refused, by code. The same ones seen again count once."""
        self.since = 0.0
        """Unix time at which the content of ``current`` became live."""
        self._policy = policy or Policy()
        self._memo = Memo()
        self._compiling = Lock()
        self._subscribers: list[Callable[[Snapshot], None]] = []

    def offer(self, documents: Documents, version: int) -> bool:
        """Compile and install; tell whether the documents are live now."""
        return self.install(self.prepare(documents, version))

    def prepare(self, documents: Documents, version: int) -> Snapshot | Rejection:
        """Compile without touching what is live; may run in another thread.

        Content that is live already, or that was just refused, is recognised and not compiled.
        """
        with self._compiling, _no_collection():
            digest = self._memo.digest(documents)
            current, refused = self.current, self.rejection
            if current is not None and current.digest == digest:
                return msgspec.structs.replace(current, version=version)
            if refused is not None and refused.digest == digest:
                return refused
            if documents.empty:
                fault = Fault("store", "is empty: there is no document of any kind")
                return Rejection(time(), version, digest, STORE_EMPTY, (fault,))
            try:
                return compile_snapshot(
                    documents, version=version, policy=self._policy, memo=self._memo
                )
            except ConfigError as error:
                return Rejection(time(), version, digest, error.code, error.faults)
            except Exception as error:  # noqa: BLE001 - no document may stop whoever follows them
                fault = Fault("configuration", f"cannot be compiled: {error!r}")
                return Rejection(time(), version, digest, INTERNAL, (fault,))

    def install(self, prepared: Snapshot | Rejection) -> bool:
        """Make what ``prepare`` returned live, or note why it is not. Only for the loop's thread.

        Subscribers are called when the content changed, not when it only got another version.
        """
        if isinstance(prepared, Rejection):
            if prepared is not self.rejection:
                self.rejected[prepared.code] = self.rejected.get(prepared.code, 0) + 1
            self.rejection = prepared
            return False
        before, self.current, self.rejection = self.current, prepared, None
        if before is None or before.digest != prepared.digest:
            self.accepted += 1
            self.since = time()
            for notify in self._subscribers:
                notify(prepared)
        return True

    def relabel(self, version: int) -> None:
        """Give the live content another version."""
        if self.current is not None:
            self.current = msgspec.structs.replace(self.current, version=version)

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None:
        """Call ``callback`` with each new snapshot, and at once with the current one, if any."""
        self._subscribers.append(callback)
        if self.current is not None:
            callback(self.current)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector away from a compile, and from what a large one has made.

    Nearly all that a compile allocates stays. Walking it again and again doubles the time for
    10,000 routes, and afterwards one walk of it would hold up requests for some 100 ms.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        if gc.get_count()[0] > _MANY_OBJECTS:
            gc.freeze()
    finally:
        if was_enabled:
            gc.enable()
