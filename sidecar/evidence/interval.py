"""An estimate and what it may be."""

import math

import msgspec


class Interval(msgspec.Struct, frozen=True):
    """``n`` values, the estimate, and its interval; ``None`` is "not known" and "no bound"."""

    n: float
    estimate: float | None = None
    low: float | None = None
    high: float | None = None


def bounded(n: float, estimate: float | None, low: float, high: float) -> Interval:
    """Return the interval with ``None`` in place of infinities, which JSON has not."""
    return Interval(float(n), _finite(estimate), _finite(low), _finite(high))


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
