"""Decisions as they are kept: references to all that went into them, so they can be made again."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sidecar import facts
from sidecar.decide import decide, decision_id
from sidecar.model import FORGETFUL, Decision, Entropy, Recall, Snapshot, Stats

LONGEST_BODY = 64 * 1024
MOST_BYTES = 32 * 1024 * 1024
"""Of all bodies that are kept together."""
MOST_SNAPSHOTS = 8
"""Records keep old rules alive, and those of a large installation take megabytes."""


class Record(NamedTuple):
    """One decision, or refusal: what was asked, and everything else that it depended on.

    ``body`` is ``None`` when it was too long to keep; ``size`` is its length in bytes. ``reads`` is
    what was read from the memory. ``now``: Unix time in seconds.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes | None
    size: int
    snapshot: Snapshot
    stats: Stats
    seed: int
    now: float
    reads: Mapping[tuple[str, Any], Any]

    @property
    def id(self) -> str:
        """The decision's id."""
        return decision_id(self.seed, self.now)


class Records:
    """The last decisions of one worker, oldest first: at most ``most``, and MOST_BYTES of bodies.

    With 0 nothing is kept.
    """

    def __init__(self, most: int, most_bytes: int = MOST_BYTES) -> None:
        self.most = most
        self._most_bytes = most_bytes
        self._kept: deque[Record] = deque()
        self._bytes = 0
        self._live: Snapshot | None = None
        self._digests: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._kept)

    def keep(self, record: Record) -> None:
        """Keep ``record``, and let go of the oldest."""
        if not self.most:
            return
        if record.snapshot is not self._live:
            self._turn_over(record.snapshot)
        self._kept.append(record)
        if record.body is not None:
            self._bytes += record.size
        while len(self._kept) > self.most or self._bytes > self._most_bytes:
            self._drop()

    def find(self, identity: str) -> Record | None:
        """Return the decision with this id, or ``None`` when it is not (or no more) here."""
        return next((record for record in reversed(self._kept) if record.id == identity), None)

    def _turn_over(self, snapshot: Snapshot) -> None:
        self._live = snapshot
        if self._digests and self._digests[-1] == snapshot.digest:
            return  # the same rules under another version
        self._digests.append(snapshot.digest)
        if len(self._digests) <= MOST_SNAPSHOTS:
            return
        oldest = self._digests.popleft()
        while self._kept and self._kept[0].snapshot.digest == oldest:
            self._drop()

    def _drop(self) -> None:
        record = self._kept.popleft()
        if record.body is not None:
            self._bytes -= record.size


def replay(record: Record) -> Decision:
    """Decide again as it was decided then; the same to the bit.

    Raises the same RequestError, and ValueError for a record without its body.
    """
    if record.body is None:
        raise ValueError("the body was not kept")
    request = facts.read(record.path, record.headers, record.body, keys=record.snapshot.keys)
    recall = Recall(FORGETFUL, dict(record.reads))
    entropy = Entropy(record.seed)
    return decide(record.snapshot, record.stats, request, entropy, record.now, recall)
