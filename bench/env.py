"""What every benchmark is given."""

import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bench.table import Row


@dataclass(frozen=True)
class Env:
    """How long to measure, and where to say how it goes."""

    seconds: float = 2.0
    """How long one measurement lasts."""
    _start: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Report progress on stderr, with the seconds since the start."""
        print(f"[{time.monotonic() - self._start:6.1f} s] {text}", file=sys.stderr, flush=True)


Benchmark = Callable[[Env], Awaitable[list[Row]]]
