"""What another configuration would have done with past requests."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sidecar.model import Snapshot, Stats
from sidecar.whatif import differences
from sidecar.whatif.actions import action_probabilities
from sidecar.whatif.comparison import Codes, Comparison, Move, Pair, Shift
from sidecar.whatif.records import Record
from sidecar.whatif.replay import CannotTell, Choice, Simulated, replay

MOST_SHIFTS = 300
"""Requests whose probabilities are compared, evenly among all: each takes up to 256 decisions."""
OF_THEN = "the decision of then"

Progress = Callable[[int], None]
"""Is told how many records are done."""


def compare(
    base: Snapshot | None,
    candidate: Snapshot,
    records: Sequence[Record],
    stats: Stats,
    progress: Progress | None = None,
) -> Comparison:
    """Replay ``records``, oldest first, through both configurations, with the draws of then.

    ``base`` is what ``candidate`` would replace; ``None`` compares with what was decided then.
    Both decide by the one ``stats``: those of then are not kept. Turns and pins that were not read
    then are those that the replayed decisions leave behind.
    """
    replays = _Replays(base, candidate, stats)
    every = max(len(records) // MOST_SHIFTS, 1)
    for place, record in enumerate(records):
        replays.add(record, shift=place % every == 0)
        if progress is not None:
            progress(place + 1)
    return replays.comparison(records)


class _Replays:
    """Decides records under both configurations, each with the memory that it leaves itself."""

    def __init__(self, base: Snapshot | None, candidate: Snapshot, stats: Stats) -> None:
        self._base, self._candidate, self._stats = base, candidate, stats
        self._memories = Simulated(), Simulated()
        self._pairs: list[Pair] = []
        self._cannot_tell: Counter[str] = Counter()
        self._shifts: list[tuple[Mapping[str, float], Mapping[str, float]]] = []
        self._recalled = self._reproduced = 0

    def add(self, record: Record, *, shift: bool) -> None:
        """Decide one more record; with ``shift`` look at the probabilities, too."""
        memories = [memory.at(record.now) for memory in self._memories]
        if shift and self._base is not None:
            found = [
                action_probabilities(snapshot, self._stats, record, memory)
                for snapshot, memory in zip((self._base, self._candidate), memories, strict=True)
            ]
            told = [one.probabilities for one in found if not isinstance(one, CannotTell)]
            if len(told) == len(found):
                self._shifts.append((told[0], told[1]))
        before = self._before(record, memories[0])
        after = self._decide(self._candidate, record, memories[1])
        unknown = {
            fact for one in (before, after) if isinstance(one, CannotTell) for fact in one[0]
        }
        self._cannot_tell.update(unknown)
        if isinstance(before, Choice) and isinstance(after, Choice):
            self._pairs.append(Pair(record, before, after))

    def _before(self, record: Record, memory: Simulated) -> Choice | CannotTell:
        then = _of_then(record)
        if self._base is None:
            return then
        found = self._decide(self._base, record, memory)
        if isinstance(then, Choice) and isinstance(found, Choice):
            self._recalled += 1
            self._reproduced += _places(found) == _places(then)
        return found

    def _decide(self, snapshot: Snapshot, record: Record, memory: Simulated) -> Choice | CannotTell:
        found = replay(snapshot, self._stats, record, memory)
        if isinstance(found, Choice) and found.plan is not None:
            memory.apply(found.plan.effects)
        return found

    def comparison(self, records: Sequence[Record]) -> Comparison:
        """Return what all records together say."""
        pairs = self._pairs
        same = [pair for pair in pairs if _places(pair.before) == _places(pair.after)]
        changed = len(pairs) - len(same)
        return Comparison(
            records=len(records),
            compared=len(pairs),
            changed=changed,
            changed_share=changed / len(pairs) if pairs else None,
            rest_changed=sum(_attempts(pair.before) != _attempts(pair.after) for pair in same)
            if self._base
            else 0,
            cannot_tell=dict(self._cannot_tell.most_common()),
            routes=_moves((pair.before.route, pair.after.route) for pair in pairs),
            backends=_moves((pair.before.backend, pair.after.backend) for pair in pairs),
            warnings=_codes([(pair.before.warnings, pair.after.warnings) for pair in pairs]),
            refusals=_codes([(_refused(pair.before), _refused(pair.after)) for pair in pairs]),
            cost_usd=differences.cost(pairs, self._base or self._candidate, self._candidate),
            latency_ms=differences.latency(pairs, records),
            shift=_shift(self._shifts),
            recalled=self._recalled,
            reproduced=self._reproduced,
        )


def _of_then(record: Record) -> Choice | CannotTell:
    then = record.decided
    if then is None or not then.backends:
        return CannotTell((OF_THEN,))
    return Choice(then.route, then.backends[0], then.probability or 1.0, then.strategy)


def _places(choice: Choice) -> tuple[str, str, str]:
    return choice.route, choice.backend, choice.refusal


def _attempts(choice: Choice) -> list[tuple[str, Mapping[str, Any]]]:
    attempts = choice.plan.attempts if choice.plan else ()
    return [(attempt.backend.name, attempt.parameters) for attempt in attempts]


def _refused(choice: Choice) -> tuple[str, ...]:
    return (choice.refusal,) if choice.refusal else ()


def _moves(pairs: Iterable[tuple[str, str]]) -> list[Move]:
    return [Move(before, after, n) for (before, after), n in Counter(pairs).most_common()]


def _codes(pairs: Sequence[tuple[tuple[str, ...], tuple[str, ...]]]) -> Codes:
    before, after = (Counter(code for pair in pairs for code in pair[side]) for side in (0, 1))
    return Codes(dict(before.most_common()), dict(after.most_common()))


def _shift(pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> Shift:
    n = len(pairs)
    if not n:
        return Shift(0, None, {}, {})
    distance = sum(
        sum(abs(p.get(name, 0.0) - q.get(name, 0.0)) for name in {*p, *q}) / 2 for p, q in pairs
    )
    before, after = (_mean([pair[side] for pair in pairs]) for side in (0, 1))
    return Shift(n, distance / n, before, after)


def _mean(probabilities: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = sorted({name for one in probabilities for name in one})
    n = len(probabilities)
    return {name: sum(one.get(name, 0.0) for one in probabilities) / n for name in names}
