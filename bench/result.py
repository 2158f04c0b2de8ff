"""What came of a load run."""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


def _floats() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class Result:
    """Counts and times of one run; times are in seconds.

    Every request that was sent or due is in one of ``answers``, ``broken`` and ``lost``.
    """

    duration: float = 0.0
    """From the start of the run to the last answer."""
    client_cpu: float = 0.0
    """CPU time (user and system) of the load generator's process."""
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: "array[float]" = field(default_factory=_floats)
    """One for each answer, whatever its status, in the order of the answers."""
    late: "array[float]" = field(default_factory=_floats)
    """From each intended start to the send: the wait for a connection, and the client's delay."""
    carried: int = 0
    """Answers with the header that was asked about."""
    broken: int = 0
    """Requests whose connection ended before the answer was whole."""
    lost: int = 0
    """Requests without an answer at the end of the run."""

    @property
    def answers(self) -> int:
        """Answers, whatever their status."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.duration if self.duration else 0.0

    @property
    def client_cpu_us(self) -> float:
        """Microseconds of the client's CPU for each answer."""
        return self.client_cpu / self.answers * 1e6 if self.answers else float("nan")

    def quantile(self, share: float) -> float:
        """Return the latency that ``share`` (0 to 1) of the answers did not exceed."""
        return quantile(self.latencies, share)

    def __str__(self) -> str:
        seen = ", ".join(f"{count} x {status}" for status, count in sorted(self.statuses.items()))
        return (
            f"{self.rate:,.0f}/s ({seen or 'no answers'}), carried {self.carried}, "
            f"broken {self.broken}, lost {self.lost}, p50 {self.quantile(0.5) * 1e3:.3f} ms, "
            f"p99 {self.quantile(0.99) * 1e3:.3f} ms, client {self.client_cpu_us:.1f} us/request"
        )


def quantile(values: Iterable[float], share: float) -> float:
    """Return the nearest-rank quantile: the least value with ``share`` of all at or below it.

    NaN when there are no values.
    """
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    rank = -int(-share * len(ordered) // 1)
    return ordered[max(rank, 1) - 1]
