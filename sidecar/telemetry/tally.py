"""How many outcomes a process had taken and written when it ended, in a file that outlives it."""

import mmap
import struct
from pathlib import Path

_TWO = struct.Struct("<QQ")


class Tally:
    """Counts in shared memory, so that a crash of the process, not of the machine, leaves them.

    ``lost``: what the process before this one had taken and not written. It may have written its
    last batch without living to hear so, hence "at most".
    """

    def __init__(self, path: Path) -> None:
        if not path.exists() or path.stat().st_size != _TWO.size:
            path.write_bytes(_TWO.pack(0, 0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _TWO.size)
        taken, written = _TWO.unpack(self._memory)
        self.lost = max(0, taken - written)
        self._taken = self._written = 0
        self._store()

    def take(self, count: int = 1) -> None:
        """Count outcomes that are in memory only."""
        self._taken += count
        self._store()

    def write(self, count: int) -> None:
        """Count outcomes that are in Redis, or given up and counted as such."""
        self._written += count
        self._store()

    def _store(self) -> None:
        _TWO.pack_into(self._memory, 0, self._taken, self._written)
