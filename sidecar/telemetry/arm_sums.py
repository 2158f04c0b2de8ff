"""Outcomes → additions to the sums of experiments' arms.

What counts:

- ``error_rate``: 1 when the client got an error or a broken answer that the route or a backend is
  to blame for (as in `windows`: no whole answer, 5xx, 401, 402, 403, 404, 408, 425, 429), else 0.
  A client that left before anything was known gives no value.
  As served it is of all requests of the arm, and 1 as well when the first backend failed and a
  fallback saved the request, or when the arm had nothing to try and somebody else answered: a
  canary must not hide behind those who help it out.
- ``latency_ms``, ``ttft_ms``, tokens, their speed and cost: only of answers that came whole (a
  stream's first token also when the client left later). Time that was spent on attempts which
  failed before counts as well: by assignment, a fallback is a part of what the arm does.
- ``cost_usd``: of the last attempt, at its backend's price when the request began.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from sidecar.evidence.histogram import bucket
from sidecar.model import Assignment, Backend, Experiment
from sidecar.telemetry.experiments import BUILT_IN, PARTS, hash_key
from sidecar.telemetry.outbox import Call, Stamp
from sidecar.telemetry.outcome import Outcome, is_blamed
from sidecar.telemetry.usage import cost_usd

KEPT_SECONDS = 90 * 86400
"""Sums that nobody adds to any more vanish after this time."""
MOST_FIELDS = 500_000
"""While Redis is away, sums of further arms are not kept."""

_ADD = """
local before = redis.call('HGET', KEYS[1], ARGV[1])
local life, number = string.match(before or '', '^(.*):(%d+)$')
if life == ARGV[2] and tonumber(number) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ':' .. ARGV[3])
for i = 5, #ARGV, 2 do
  redis.pcall('HINCRBYFLOAT', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""
"""Add once. A field that somebody made a text costs itself alone: hence pcall."""

_WITH_HISTOGRAM = frozenset({"latency_ms", "ttft_ms"})
_WITH_PARTS = frozenset({"error_rate", "latency_ms"})

Fields = defaultdict[str, float]
Pairs = Mapping[str, Sequence[tuple[str, str, str]]]
"""Experiment → its metrics that are ratios of two built-in ones: (name, of, per)."""


class Values(NamedTuple):
    """What one request measures. ``speed``: tokens and the seconds in which they came."""

    metrics: Mapping[str, float]
    speed: tuple[float, float] | None


def measure(outcome: Outcome, backend: Backend | None) -> Values:
    """Return the built-in metrics of a request; ``backend``: the last attempt's, for its price."""
    found: dict[str, float] = {}
    if outcome.status or outcome.failure or not outcome.client_gone:
        found["error_rate"] = float(is_blamed(outcome))
    if not outcome.answered:
        return Values(found, None)
    waited = 0.0
    if outcome.attempts > 1 and outcome.upstream_s is not None:
        waited = max(0.0, outcome.duration_s - outcome.upstream_s)
    if outcome.stream and outcome.ttft_s is not None:
        found["ttft_ms"] = (waited + outcome.ttft_s) * 1e3
    if outcome.client_gone:
        return Values(found, None)
    if outcome.upstream_s is not None:
        found["latency_ms"] = (waited + outcome.upstream_s) * 1e3
    return _count_tokens(outcome, backend, found)


def _count_tokens(outcome: Outcome, backend: Backend | None, found: dict[str, float]) -> Values:
    tokens = outcome.tokens
    if tokens.partial or (tokens.input is None and tokens.output is None):
        return Values(found, None)
    found["input_tokens"] = float(tokens.input or 0)
    found["output_tokens"] = float(tokens.output or 0)
    if backend is not None:
        found["cost_usd"] = cost_usd(tokens, backend.price_at(outcome.started))
    seconds = _generating_s(outcome)
    return Values(found, (float(tokens.output), seconds) if tokens.output and seconds else None)


def _generating_s(outcome: Outcome) -> float:
    """Return the time in which tokens came: that after the first if they came one by one."""
    whole = outcome.upstream_s or 0.0
    if outcome.stream and outcome.ttft_s is not None and whole - outcome.ttft_s > 0.001:
        return whole - outcome.ttft_s
    return whole


def part_of(unit: str) -> int | None:
    """Return the part of `PARTS` that a unit's digest is in; ``None`` of one that was drawn.

    By its last digits: the first ones say in which arm the unit is.
    """
    try:
        return int(unit[-2:], 16) % PARTS
    except ValueError:
        return None


def was_served(outcome: Outcome) -> bool:
    """Whether the first backend of the plan gave the answer."""
    return outcome.answered and _at_first(outcome)


def _at_first(outcome: Outcome) -> bool:
    return bool(outcome.plan) and outcome.backend == outcome.plan[0]


class ArmSums:
    """A source of the outbox: adds up until it is asked. ``count``: is told (result, how many)."""

    def __init__(self, prefix: str, count: Callable[[str, int], None]) -> None:
        self._prefix = prefix
        self._count = count
        self._sums: dict[tuple[str, int], Fields] = {}
        self._outcomes: dict[tuple[str, int], int] = {}
        self._fields = 0

    def add(self, outcome: Outcome, values: Values, pairs: Pairs = MappingProxyType({})) -> None:
        """Add one request to all arms that it was put into."""
        for assignment in outcome.assignments:
            key = (assignment.experiment, assignment.version)
            sums = self._sums.get(key)
            if sums is None:
                sums = self._sums[key] = defaultdict(float)
            if self._fields > MOST_FIELDS:
                self._count("lost", 1)
                continue
            before = len(sums)
            _add(sums, assignment, outcome, values)
            for name, of, per in pairs.get(assignment.experiment, ()):
                if of in values.metrics and per in values.metrics:
                    for scope in _scopes(assignment, outcome):
                        _add_pair(sums, scope + name, values.metrics[of], values.metrics[per])
            self._fields += len(sums) - before
            self._outcomes[key] = self._outcomes.get(key, 0) + 1

    def take(self, stamp: Callable[[], Stamp]) -> list[Call]:
        """Hand over the sums, one call per experiment and version."""
        calls = [
            self._call(key, sums, stamp(), self._outcomes.get(key, 0))
            for key, sums in self._sums.items()
            if sums
        ]
        self._sums, self._outcomes, self._fields = {}, {}, 0
        return calls

    def _call(self, key: tuple[str, int], sums: Fields, stamp: Stamp, outcomes: int) -> Call:
        flat = [text for field, value in sums.items() for text in (field, repr(value))]
        arguments = [f"node:{stamp.node}", stamp.life, stamp.number, KEPT_SECONDS, *flat]

        def done(kept: bool) -> None:
            self._count("kept" if kept else "lost", outcomes)

        return Call(_ADD, (hash_key(self._prefix, *key),), arguments, done)


def pairs_of(experiments: Iterable[Experiment]) -> Pairs:
    """Return the ratios that can be added up per request; those of feedback cannot."""
    return {
        each.name: [
            (metric.name, metric.of, metric.per)
            for metric in each.metrics
            if metric.kind == "ratio"
            and metric.of in BUILT_IN
            and metric.per is not None
            and metric.per in BUILT_IN
        ]
        for each in experiments
    }


def _add(sums: Fields, assignment: Assignment, outcome: Outcome, values: Values) -> None:
    arm = assignment.arm
    sums[arm + "|assigned|n"] += 1
    if was_served(outcome) and not assignment.missed:
        sums[arm + "|served|n"] += 1
    for scope in _scopes(assignment, outcome):
        for name, value in values.metrics.items():
            if name != "error_rate" or scope == arm + "|metric:":
                _add_value(sums, scope + name, value, name in _WITH_HISTOGRAM)
        if values.speed is not None:
            _add_pair(sums, scope + "tokens_per_second", *values.speed)
    if "error_rate" in values.metrics and (outcome.plan or assignment.missed):
        failed = 1.0 if assignment.missed else _arm_failed(outcome, values)
        _add_value(sums, arm + "|served:error_rate", failed, histogram=False)
    part = part_of(assignment.unit)
    for name in _WITH_PARTS if part is not None else ():
        if name in values.metrics:
            _add_value(sums, f"{arm}|part{part}:{name}", values.metrics[name], histogram=False)


def _arm_failed(outcome: Outcome, values: Values) -> float:
    """Return 1 when the first backend failed, also if another one saved the request, else 0."""
    moved = outcome.attempts > 1 or (outcome.backend != "" and not _at_first(outcome))
    return 1.0 if moved else values.metrics["error_rate"]


def _scopes(assignment: Assignment, outcome: Outcome) -> Sequence[str]:
    assigned = assignment.arm + "|metric:"
    own = _at_first(outcome) and not assignment.missed
    return (assigned, assignment.arm + "|served:") if own else (assigned,)


def _add_value(sums: Fields, base: str, value: float, histogram: bool) -> None:
    sums[base + "|n"] += 1
    if value:
        sums[base + "|total"] += value
        sums[base + "|squares"] += value * value
        sums[base + "|cubes"] += value * value * value
    if histogram:
        sums[f"{base}|b{bucket(value)}"] += 1


def _add_pair(sums: Fields, base: str, x: float, y: float) -> None:
    for component, value in (("n", 1), ("x", x), ("y", y), ("xx", x * x), ("yy", y * y)):
        sums[f"{base}|{component}"] += value
    sums[base + "|xy"] += x * y
