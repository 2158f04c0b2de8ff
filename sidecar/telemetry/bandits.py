"""What bandits learned, shared by all nodes through Redis.

Every node adds what its own requests and feedback earned, reads what all did, and comes to the same
probabilities. What a node has not added yet, half a second's worth, is lost with it.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import structlog

from sidecar.choose.bandit import OTHER, ByOdds, Reward, bandits_in
from sidecar.evidence import Moments
from sidecar.model import Arm, Assignment, Experiment, Metric, MetricKind, Odds, Router, Snapshot
from sidecar.telemetry.arm_sums import KEPT_SECONDS, Values
from sidecar.telemetry.feedback import Accepted
from sidecar.telemetry.learned import ADD, INTERVAL, READ, Learned, compute, forgetting
from sidecar.telemetry.odds import SLOTS
from sidecar.telemetry.outbox import Call, Stamp
from sidecar.telemetry.outcome import Outcome
from sidecar.telemetry.rewards import reward_of

TIMEOUT = 0.5
"""Longest wait for Redis, in seconds."""
MOST_BUCKETS = 1000
"""Per bandit; requests of further ones learn together."""

_log = structlog.get_logger()

Id = tuple[str, int]
"""Name as an experiment, and version."""
Table = dict[str, Odds]
"""By bucket."""


class Redis(Protocol):
    """What is needed of redis.asyncio's clients, single or cluster."""

    def pipeline(self, transaction: bool = True) -> Any:
        """Return a pipeline."""


class Bandits:
    """A source of the outbox, and what reads back. ``publish`` is told what has changed."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._learned: dict[Id, Learned] = {}
        self._waiting: dict[Id, dict[str, dict[str, Moments]]] = {}
        self._walked: dict[int, tuple[Router, list[ByOdds]]] = {}
        self._up = True
        self.experiments: Mapping[str, Experiment] = {}
        """Bandits that learn from feedback, as experiments of their own: what it may report."""

    def use(self, snapshot: Snapshot) -> None:
        """Know the bandits of ``snapshot``; what was learned stays with those that are the same."""
        found: dict[Id, ByOdds] = {}
        walked: dict[int, tuple[Router, list[ByOdds]]] = {}
        for router in self._routers(snapshot):
            each = self._in(router, walked)
            found.update({(one.experiment, one.version): one for one in each})
        self._walked = walked
        self._learned = {key: self._kept(key, bandit) for key, bandit in found.items()}
        self._waiting = {key: each for key, each in self._waiting.items() if key in found}
        self.experiments = {
            bandit.experiment: _experiment(bandit, bandit.reward.feedback)
            for bandit in found.values()
            if bandit.reward.feedback is not None
        }

    def add(self, outcome: Outcome, values: Values) -> None:
        """Take what one request earned."""
        for assignment in outcome.assignments:
            learned = self._learned.get((assignment.experiment, assignment.version))
            if learned is None or assignment.arm not in learned.bandit.arms:
                continue
            arm = learned.bandit.arms.index(assignment.arm)
            reward = reward_of(learned.bandit, arm, outcome, values)
            if reward is not None:
                self._sums(assignment).add(reward)

    def feedback(self, accepted: Accepted) -> None:
        """Take feedback; what it replaces is taken back."""
        for assignment in accepted.assignments:
            learned = self._learned.get((assignment.experiment, assignment.version))
            if learned is None or assignment.arm not in learned.bandit.arms:
                continue
            reward = learned.bandit.reward
            if reward.feedback == accepted.metric:
                _replace(self._sums(assignment), reward, accepted)

    def take(self, stamp: Callable[[], Stamp]) -> list[Call]:
        """Hand over the sums, one call per bandit."""
        calls = [self._call(key, buckets, stamp()) for key, buckets in self._waiting.items()]
        self._waiting = {}
        return calls

    async def run(self, publish: Callable[[Mapping[str, Table]], None]) -> None:
        """Read and compute every INTERVAL, until cancelled."""
        while True:
            await self.tick()
            publish(self.odds)
            await asyncio.sleep(INTERVAL)

    async def tick(self) -> None:
        """Read once, and compute what has changed. Nothing is raised: the last odds stay."""
        wanted = [*self._learned.items()]
        if not wanted:
            return
        try:
            async with asyncio.timeout(TIMEOUT):
                answers = await self._read(wanted)
        except Exception as error:  # noqa: BLE001
            # Whatever a client raises: requests go on being drawn as they were.
            self._set_up(up=False, why=repr(error))
            return
        now, why = 0.0, ""
        for (_, learned), answer in zip(wanted, answers, strict=True):
            if isinstance(answer, Exception):
                why = repr(answer)
            else:
                now = learned.take(answer)
        self._set_up(up=not why, why=why)
        await self._compute([learned for _, learned in wanted], now)

    @property
    def odds(self) -> dict[str, Table]:
        """How to draw, by bandit and bucket, as `Stats.bandits` has it."""
        return {
            learned.bandit.key: {name: one.odds for name, one in learned.buckets.items()}
            for learned in self._learned.values()
            if learned.buckets
        }

    def probabilities(self) -> dict[tuple[str, str], float]:
        """Return by router and arm the probability in the mean over buckets, by their samples."""
        found = {}
        for learned in self._learned.values():
            # A copy first: this may be asked on another thread.
            odds = [one.odds for one in [*learned.buckets.values()]]
            bandit = learned.bandit
            weights = [sum(each.samples) for each in odds]
            total = sum(weights)
            for place, arm in enumerate(bandit.arms):
                parts = zip(odds, weights, strict=True)
                whole = sum(each.probabilities[place] * weight for each, weight in parts)
                found[bandit.name, arm] = whole / total if total else 1 / len(bandit.arms)
        return found

    def _routers(self, snapshot: Snapshot) -> Iterator[Router]:
        yield from snapshot.routers.values()
        yield from {id(route.router): route.router for route in snapshot.route_list}.values()

    def _in(self, router: Router, walked: dict[int, tuple[Router, list[ByOdds]]]) -> list[ByOdds]:
        """Walk a router once: most of them are the same objects after an edit."""
        known = self._walked.get(id(router)) or (router, bandits_in(router))
        walked[id(router)] = known
        return known[1]

    def _kept(self, key: Id, bandit: ByOdds) -> Learned:
        learned = self._learned.get(key)
        if learned is None or learned.bandit.learning != bandit.learning:
            return Learned(bandit)
        learned.bandit = bandit
        return learned

    def _sums(self, assignment: Assignment) -> Moments:
        key = (assignment.experiment, assignment.version)
        buckets = self._waiting.setdefault(key, {})
        name = assignment.bucket
        if name not in buckets and len(buckets) >= MOST_BUCKETS:
            name = OTHER
        return buckets.setdefault(name, {}).setdefault(assignment.arm, Moments())

    def _key(self, key: Id) -> str:
        return f"{self._prefix}{key[0]}:{key[1]}"

    def _call(self, key: Id, buckets: Mapping[str, Mapping[str, Moments]], stamp: Stamp) -> Call:
        learning = self._learned[key].bandit.learning
        how, length = forgetting(learning)
        texts = []
        for bucket, arms in buckets.items():
            sums = {arm: msgspec.structs.astuple(each) for arm, each in arms.items()}
            texts += [bucket, msgspec.json.encode(sums)]
        limits = [how, length, SLOTS, MOST_BUCKETS, OTHER, KEPT_SECONDS]
        arguments = [f"node:{stamp.node}", stamp.life, stamp.number, *limits, *texts]
        return Call(ADD, (self._key(key),), arguments, lambda _kept: None)

    async def _read(self, wanted: Sequence[tuple[Id, Learned]]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for key, learned in wanted:
            pipe.eval(READ, 1, self._key(key), learned.revision)
        answers: list[Any] = await pipe.execute(raise_on_error=False)
        return answers

    async def _compute(self, learned: Iterable[Learned], now: float) -> None:
        """Compute odds that are due, those first that wait longest; the rest waits on."""
        due = [(since, bucket, each) for each in learned for since, bucket in each.due(now)]
        if not due:
            return
        due.sort(key=lambda one: one[0])
        work = [(each, bucket, each.fields[bucket]) for _, bucket, each in due]
        for each, bucket, made in await asyncio.to_thread(compute, work, now):
            if bucket in each.fields:
                each.buckets[bucket] = made

    def _set_up(self, *, up: bool, why: str = "") -> None:
        if self._up and not up:
            _log.warning("bandits_not_shared", why=why)
        elif up and not self._up:
            _log.info("bandits_shared")
        self._up = up


def _replace(sums: Moments, reward: Reward, accepted: Accepted) -> None:
    """Add what feedback earns, and take back what it replaces."""
    value = _within(reward, accepted.value)
    if accepted.before is None:
        sums.add(value)
        return
    before = _within(reward, accepted.before)
    sums.total += value - before
    sums.squares += value * value - before * before


def _within(reward: Reward, value: float) -> float:
    return min(max(value, 0.0), 1.0) if reward.clipped else value


def _experiment(bandit: ByOdds, metric: str) -> Experiment:
    kind: MetricKind = "proportion" if bandit.reward.clipped else "mean"
    arms = tuple(Arm(arm, 100 / len(bandit.arms)) for arm in bandit.arms)
    measured = (Metric(metric, kind, "increase", metric),)
    return Experiment(bandit.experiment, arms, bandit.version, "running", metrics=measured)
