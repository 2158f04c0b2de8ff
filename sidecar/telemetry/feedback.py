"""Feedback on decisions: checked, joined with the arms that the request was in, and added there.

Repeated feedback of one source about one metric of one decision replaces what was there: a hash per
decision, ``{prefix}feedback:{id}``, has the value that counts by ``{metric}|{source}``. One script
takes the old value away and adds the new one, so that no crash leaves half of it.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, NamedTuple, Protocol

import msgspec

from sidecar.evidence.histogram import bucket
from sidecar.model import Assignment, Experiment
from sidecar.telemetry.arm_sums import KEPT_SECONDS, part_of
from sidecar.telemetry.decision_index import DecisionIndex, Known, decided_at
from sidecar.telemetry.experiments import BUILT_IN, hash_key

MOST_BYTES = 16 * 1024
MOST_SOURCES = 64
"""Pairs of metric and source per decision."""
LARGEST = 1e9
SKEW_SECONDS = 60.0
"""By how much the clocks of nodes may differ."""
FRESH_SECONDS = 10.0
"""A decision this young is waited for, since it is written when its request is over."""
_WAITS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.5)

_ID = re.compile(r"[0-9a-f]{28}")
_NAME = r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$"
_SOURCE = r"^[A-Za-z][A-Za-z0-9_.:/@-]{0,63}$"

_REPLACE = """
local before, now = redis.call('HGET', KEYS[1], ARGV[1]) or '', ARGV[2]
if before == now then return before end
if before == '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return false end
redis.call('HSET', KEYS[1], ARGV[1], now)
redis.call('EXPIRE', KEYS[1], ARGV[3])
local function add(key, base, text, sign)
  local value, place = string.match(text, '^(%S+) (%S*)$')
  if not value then return end
  redis.pcall('HINCRBYFLOAT', key, base .. 'n', sign)
  for power, component in ipairs({'total', 'squares', 'cubes'}) do
    local amount = string.format('%.17g', sign * value ^ power)
    redis.pcall('HINCRBYFLOAT', key, base .. component, amount)
  end
  if place ~= '' then redis.pcall('HINCRBYFLOAT', key, base .. 'b' .. place, sign) end
end
for i = 6, #ARGV, 2 do
  local key = KEYS[tonumber(ARGV[i])]
  add(key, ARGV[i + 1], before, -1)
  add(key, ARGV[i + 1], now, 1)
  redis.call('EXPIRE', key, ARGV[5])
end
return before
"""
"""Return what counted before, empty for nothing; nil when there are too many sources."""


class Report(msgspec.Struct, frozen=True):
    """What somebody says about a decision. `comment` is read and dropped."""

    decision: str
    metric: Annotated[str, msgspec.Meta(pattern=_NAME)]
    value: bool | float
    source: Annotated[str, msgspec.Meta(pattern=_SOURCE)] = "user"
    comment: str | None = None


class Rejection(Exception):
    """Why feedback was not taken. ``status`` is HTTP's; ``code`` is stable."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param


class Accepted(NamedTuple):
    """Feedback that counts. ``before``: the value that it took the place of."""

    decision: str
    backend: str
    assignments: tuple[Assignment, ...]
    """Those whose experiments have the metric."""
    metric: str
    declared: bool
    """Whether any experiment of the live configuration has the metric."""
    value: float
    before: float | None


class Redis(Protocol):
    """What is needed of redis.asyncio's clients, single or cluster."""

    def hget(self, name: str, key: str, /) -> Awaitable[Any]:
        """Return one field of a hash."""

    def register_script(self, script: str, /) -> Any:
        """Return a callable that runs ``script`` by its hash."""


Kinds = Mapping[str, str]
"""Metric that feedback may report → its kind."""


class Feedback:
    """Takes feedback, of any node's decisions.

    ``experiments``: those of the live configuration, and whatever else has arms and metrics.
    ``listeners`` are told what counts.
    """

    def __init__(
        self,
        redis: Redis,
        index: DecisionIndex,
        experiments: Callable[[], Mapping[str, Experiment]],
        *,
        listeners: Iterable[Callable[[Accepted], None]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._redis = redis
        self._replace = redis.register_script(_REPLACE)
        self._index = index
        self._experiments = experiments
        self._listeners = tuple(listeners)
        self._clock = clock

    async def take(self, text: bytes) -> Accepted:
        """Take feedback as JSON. Raises Rejection, and what the client of Redis raises."""
        report = read_report(text)
        age = self._age(report.decision)
        value = float(report.value)
        if not abs(value) <= LARGEST:
            raise _wrong_value(report.metric, f"a number of at most {LARGEST:g}")
        known = await self._find(report.decision, age)
        concerned = self._concerned(known, report.metric, value)
        before = await self._count(report, value, known, concerned)
        accepted = Accepted(
            report.decision,
            known.backend,
            tuple(concerned),
            report.metric,
            bool(concerned) or self._is_declared(report.metric),
            value,
            before,
        )
        for listen in self._listeners:
            listen(accepted)
        return accepted

    def _age(self, identity: str) -> float:
        if not _ID.fullmatch(identity):
            raise Rejection(
                400,
                "invalid_decision",
                "A decision's id is 28 hex digits: the response header x-pointsman-decision.",
                "decision",
            )
        age = self._clock() - decided_at(identity)
        if age < -SKEW_SECONDS:
            raise _unknown("This id lies in the future: no decision has it.")
        if age > self._index.seconds:
            hours = f"{self._index.seconds / 3600:g}"
            raise Rejection(
                404,
                "decision_expired",
                f"This decision is older than {hours} hours: feedback on it counts no more.",
                "decision",
            )
        return age

    async def _find(self, identity: str, age: float) -> Known:
        """Return the decision; one that was just made may not be written yet."""
        known = await self._index.find(self._redis, identity)
        if known is None and age < FRESH_SECONDS:
            for seconds in _WAITS:
                await asyncio.sleep(seconds)
                known = await self._index.find(self._redis, identity)
                if known is not None:
                    break
        if known is None:
            raise _unknown(
                "No decision with this id is known: it was not made here, its request is not over "
                "yet, or too many came after it."
            )
        return known

    def _concerned(self, known: Known, metric: str, value: float) -> dict[Assignment, str]:
        """Return the assignments whose experiments have the metric, with its kind."""
        live = self._experiments()
        running = {
            one: kinds(live[one.experiment]) for one in known.assignments if one.experiment in live
        }
        found = {one: names[metric] for one, names in running.items() if metric in names}
        if running and not found:
            names = sorted({name for each in running.values() for name in each})
            legal = ", ".join(names) or "none"
            where = ", ".join(sorted(one.experiment for one in running))
            raise Rejection(
                400,
                "unknown_metric",
                f"{metric} is not a metric of {where} that feedback may report; legal: {legal}.",
                "metric",
            )
        for kind in found.values():
            _check_range(metric, kind, value)
        return found

    def _is_declared(self, metric: str) -> bool:
        return any(metric in kinds(each) for each in self._experiments().values())

    async def _count(
        self, report: Report, value: float, known: Known, concerned: Mapping[Assignment, str]
    ) -> float | None:
        keys = [f"{self._index.prefix}feedback:{report.decision}"]
        where: list[Any] = []
        for one in concerned:
            key = hash_key(self._index.prefix, one.experiment, one.version)
            if key not in keys:
                keys.append(key)
            for base in _bases(one, report.metric, served=known.served and not one.missed):
                where += (keys.index(key) + 1, base)
        place = bucket(value) if "quantile" in concerned.values() else ""
        life = int(self._index.seconds) + 3600
        field, now = f"{report.metric}|{report.source}", f"{value!r} {place}"
        arguments = [field, now, life, MOST_SOURCES, KEPT_SECONDS, *where]
        before = await self._replace(keys=keys, args=arguments)
        if before is None:
            raise Rejection(
                409, "too_many_sources", "This decision has feedback of too many sources.", "source"
            )
        text = before.decode() if isinstance(before, bytes) else before
        return float(text.split(" ")[0]) if text else None


def read_report(text: bytes) -> Report:
    """Return what a body says. Raises Rejection, naming the field that is wrong."""
    try:
        return msgspec.json.decode(text, type=Report)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise Rejection(400, "invalid_feedback", what, where.strip("`$.") or None) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Rejection(
            400,
            "invalid_json",
            'The body must be one JSON object: {"decision": id, "metric": name, "value": number}.',
        ) from None


def kinds(experiment: Experiment) -> Kinds:
    """Return what feedback may report to an experiment: all that it measures but the built-in."""
    found = {}
    for metric in experiment.metrics:
        for name in (metric.of, metric.per):
            if name is not None and name not in BUILT_IN:
                found[name] = "mean" if metric.kind == "ratio" else metric.kind
    return found


def _bases(one: Assignment, metric: str, *, served: bool) -> list[str]:
    part = part_of(one.unit)
    scopes = ["metric", *(["served"] if served else []), *([] if part is None else [f"part{part}"])]
    return [f"{one.arm}|{scope}:{metric}|" for scope in scopes]


def _check_range(metric: str, kind: str, value: float) -> None:
    if kind == "proportion" and not 0 <= value <= 1:
        raise _wrong_value(metric, "true, false, or a number from 0 to 1")
    if kind == "quantile" and value < 0:
        raise _wrong_value(metric, f"a number from 0 to {LARGEST:g}")


def _wrong_value(metric: str, legal: str) -> Rejection:
    return Rejection(400, "value_out_of_range", f"{metric} must be {legal}.", "value")


def _unknown(message: str) -> Rejection:
    return Rejection(404, "decision_not_found", message, "decision")
