"""What another choice would have cost and how long it would have taken, expected from the past."""

import math
from collections.abc import Iterable, Mapping, Sequence

from sidecar.model import Backend, Snapshot
from sidecar.whatif.comparison import Difference, Pair
from sidecar.whatif.records import Record
from sidecar.whatif.replay import Choice

LEAST_ANSWERS = 5
"""Answers of a backend from which its mean latency is taken."""

Expected = tuple[float | None, float | None]


def cost(pairs: Sequence[Pair], before: Snapshot, after: Snapshot) -> Difference:
    """Return US dollars per request: the tokens of then at the prices of each choice, then.

    A model that answers longer or shorter costs more or less than that.
    """
    return _difference(
        (
            _cost(pair.record, _backend(pair.before, before)),
            _cost(pair.record, _backend(pair.after, after)),
        )
        for pair in pairs
    )


def latency(pairs: Sequence[Pair], records: Iterable[Record]) -> Difference:
    """Return milliseconds per request: of each choice the mean of all recorded answers."""
    means = mean_latencies(records)
    return _difference(
        (means.get(pair.before.backend), means.get(pair.after.backend)) for pair in pairs
    )


def mean_latencies(records: Iterable[Record]) -> Mapping[str, float]:
    """Return the mean latency of each backend that answered at least LEAST_ANSWERS times."""
    found: dict[str, list[float]] = {}
    for record in records:
        came = record.decided.outcome if record.decided else None
        if came is not None and came.answered and came.latency_ms is not None:
            found.setdefault(came.backend, []).append(came.latency_ms)
    enough = {name: values for name, values in found.items() if len(values) >= LEAST_ANSWERS}
    return {name: math.fsum(values) / len(values) for name, values in enough.items()}


def _backend(choice: Choice, snapshot: Snapshot) -> Backend | None:
    if choice.plan is not None:
        return choice.plan.attempts[0].backend
    return snapshot.backends.get(choice.backend)


def _cost(record: Record, backend: Backend | None) -> float | None:
    came = record.decided.outcome if record.decided else None
    if came is None or came.input_tokens is None or backend is None:
        return None
    price = backend.price_at(record.now)
    return (
        came.input_tokens * price.per_input_token
        + (came.output_tokens or 0) * price.per_output_token
    )


def _difference(pairs: Iterable[Expected]) -> Difference:
    every = [*pairs]
    known = [(a, b) for a, b in every if a is not None and b is not None]
    n = len(known)
    if not n:
        return Difference(0, len(every))
    before, after = (math.fsum(one) / n for one in zip(*known, strict=True))
    return Difference(n, len(every) - n, before, after, after - before)
