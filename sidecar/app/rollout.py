"""The rollout controller: moves shares of experiments by what their statistics say.

Every node runs one; the one that holds the lease acts. It reads the sums of each running
experiment, keeps its record of stretches, and when a rollout has to go on or back it writes the new
shares, with the evidence in the history. The write is a compare-and-set on all documents: an edit
that somebody made meanwhile stays, and the controller looks again. It also checks that the
experiment is still as it was judged: what a slow node concluded from earlier shares is never
carried out.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import msgspec
import structlog

from sidecar.app.lease import Lease
from sidecar.config import experiment_edits
from sidecar.config.documents import Documents
from sidecar.config.experiment_edits import Edit, edited
from sidecar.config.experiments import decode_experiment
from sidecar.config.redis_client import answering
from sidecar.config.redis_store import RedisStore
from sidecar.errors import ConfigError, PointsmanError, StoreConflict, StoreError
from sidecar.evidence import Step
from sidecar.model import Experiment, Snapshot
from sidecar.telemetry import experiments, stretches
from sidecar.telemetry.rollout import Watched, figures, judge_step, sentence, shares_of, sides
from sidecar.telemetry.stretches import Arms, Record, followed, srm_of

INTERVAL = 1.0
BUDGET = 0.1
"""Seconds that a turn may take: with many busy experiments each is looked at less often."""
UNHURRIED = 10
"""After so many turns an experiment is looked at even if it has no rollout, or no news."""
WHO = "rollout"
_ATTEMPTS = 5
_PLACE = "rollout"

_log = structlog.get_logger()
T = TypeVar("T")


class _Moved(PointsmanError):
    """The experiment is no longer as it was judged."""

    code = "moved"


class Rollouts:
    """Drives the rollouts of all experiments while it holds the lease.

    ``snapshot``: the live rules. ``watched``: what it saw last; empty on a node that does not lead.
    """

    def __init__(
        self,
        store: RedisStore,
        redis: Any,
        *,
        prefix: str,
        node: str,
        snapshot: Callable[[], Snapshot | None],
    ) -> None:
        self.watched: dict[str, Watched] = {}
        self.rollbacks: dict[str, int] = {}
        """Experiment → how often this process rolled it back."""
        self.lease = Lease(redis, f"{prefix}lease:rollout", node)
        self._store = store
        self._redis = redis
        self._prefix = prefix
        self._snapshot = snapshot
        self._turn = 0
        self._looked: dict[str, int] = {}
        """Experiment → the turn in which it was looked at last."""
        self._leads = False

    async def run(self) -> None:
        """Look every second, until cancelled; then give the lease back."""
        try:
            while True:
                await self.turn()
                await asyncio.sleep(INTERVAL)
        finally:
            await self._quietly(self._end())

    async def _end(self) -> None:
        async with answering(_PLACE, 1.0):
            await self.lease.release()
            await self._redis.aclose()
        await self._store.close()

    async def turn(self) -> None:
        """Look at the running experiments that are due. Nothing is raised."""
        now = await self._quietly(self._held())
        self._lead(self.lease.held)
        snapshot = self._snapshot()
        if now is None or snapshot is None:
            return
        running = {n: one for n, one in snapshot.experiments.items() if one.state == "running"}
        self.watched = {name: one for name, one in self.watched.items() if name in running}
        counts = await self._quietly(self._count(running))
        until = time.monotonic() + BUDGET
        for name in sorted(running, key=lambda name: self._looked.get(name, -1)):
            if time.monotonic() > until:
                break
            if counts is not None and self._is_due(running[name], counts[name]):
                self._looked[name] = self._turn
                await self._quietly(self._look(running[name], now))
        self._turn += 1

    async def _count(self, running: Mapping[str, Experiment]) -> dict[str, list[Any]]:
        """Return how many requests each arm has, as Redis has it: cheaper than all the sums."""
        async with answering(_PLACE):
            pipe = self._redis.pipeline(transaction=False)
            for name, one in running.items():
                fields = [f"{arm.name}|assigned|n" for arm in one.arms]
                pipe.hmget(experiments.hash_key(self._prefix, name, one.version), fields)
            return dict(zip(running, await pipe.execute(), strict=True))

    def _is_due(self, experiment: Experiment, counts: list[Any]) -> bool:
        seen = self.watched.get(experiment.name)
        if seen is None or seen.experiment != experiment:
            return True
        if self._turn - self._looked[experiment.name] >= UNHURRIED:
            return True
        if experiment.rollout is None:
            return False
        known = [
            arm.name in seen.stats and seen.stats[arm.name].assigned for arm in experiment.arms
        ]
        return not seen.record.last.settled or known != [float(each or 0) for each in counts]

    async def _quietly(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Wait for ``work``; what goes wrong ends this turn of it, and nothing else."""
        try:
            return await work
        except StoreError as error:
            _log.warning("rollout_waits", error=str(error))
        except Exception:  # noqa: BLE001
            # One experiment's odd statistics must not leave the others without their guards.
            _log.error("rollout_failed", exc_info=True)
        return None

    async def _held(self) -> float | None:
        async with answering(_PLACE):
            return await self.lease.hold()

    def _lead(self, leads: bool) -> None:
        if leads != self._leads:
            _log.info("rollouts_led_here" if leads else "rollouts_led_elsewhere")
        self._leads = leads
        if not leads:
            # Whoever leads next writes the records: what is known here is out of date then.
            self.watched, self._looked = {}, {}

    async def _look(self, experiment: Experiment, now: float) -> None:
        name, key = experiment.name, (experiment.name, experiment.version)
        async with answering(_PLACE):
            fields = await self._redis.hgetall(experiments.hash_key(self._prefix, *key))
        if not self._is_live(experiment):
            return
        stats = experiments.parse({n: each for n, each in fields.items() if _is_compared(n)})
        record = await self._followed(experiment, stats, now)
        step = None
        rollout = experiment.rollout
        if rollout is not None and shares_of(experiment)[sides(experiment)[1]] > 0:
            step = judge_step(experiment, rollout, record, stats, now)
        srm = step.evidence.srm if step else srm_of(record, stats)
        self.watched[name] = Watched(experiment, stats, record, srm, step)
        if step is not None and step.action != "hold" and self.lease.held:
            await self._carry_out(experiment, step, stats)

    def _is_live(self, experiment: Experiment) -> bool:
        """Whether it is still the one in the rules: the sums just read may be of other shares."""
        snapshot = self._snapshot()
        live = snapshot.experiments.get(experiment.name) if snapshot else None
        return live is not None and _gist(live) == _gist(experiment)

    async def _followed(self, experiment: Experiment, stats: Arms, now: float) -> Record:
        """Return the record as of now, written to Redis when it changed."""
        key = (experiment.name, experiment.version)
        seen, before, clean = self.watched.get(experiment.name), None, stats
        if seen is not None and seen.experiment.version == experiment.version:
            before, clean = seen.record, seen.stats
        async with answering(_PLACE):
            if before is None:
                before = await stretches.load(self._redis, self._prefix, *key)
            record = followed(before, shares_of(experiment), stats, clean, now)
            if record is not before:
                await self._keep(stretches.record_key(self._prefix, *key), record)
        return record

    async def _keep(self, key: str, record: Record) -> None:
        text = msgspec.json.encode(record)
        if not await self.lease.write(key, text, stretches.KEPT_SECONDS):
            raise StoreConflict("another node leads the rollouts by now")

    async def _carry_out(self, experiment: Experiment, step: Step, stats: Arms) -> None:
        rollout, name = experiment.rollout, experiment.name
        names = [guard.metric for guard in rollout.guards] if rollout else []
        found = figures(experiment, stats, names)
        what = f"{name}: {sentence(experiment, step, found)}"
        evidence = {"experiment": name, "version": experiment.version, "step": step, "arms": found}

        def edit(name: str, document: dict[str, Any]) -> str:
            if not self.lease.held or not _is_as_judged(experiment, name, document):
                raise _Moved(name)
            experiment_edits.moving(step.share)(name, document)
            return what

        try:
            version = await write(self._store, name, edit, who=WHO, evidence=evidence)
        except (_Moved, StoreConflict):
            return
        except ConfigError as error:
            _log.error("rollout_blocked", experiment=name, what=what, error=str(error))
            return
        if step.action == "roll_back":
            self.rollbacks[name] = self.rollbacks.get(name, 0) + 1
        tell = _log.warning if step.action == "roll_back" else _log.info
        tell("rollout", experiment=name, action=step.action, what=what, version=version)


async def write(
    store: RedisStore,
    name: str,
    edit: Edit,
    *,
    who: str,
    evidence: Any = None,
    check: Callable[[Documents], None] = lambda _: None,
) -> int:
    """Change one experiment in the store in one write and return the new version.

    Somebody else's write in between costs another attempt on what they wrote. Raises ConfigError
    when there is no such experiment or the edit cannot be done, StoreConflict when others wrote
    all the time, and what ``edit`` and ``check`` (is given what is to be written) raise.
    """
    for attempt in range(_ATTEMPTS):
        stored = await store.load()
        documents, what = edited(stored.documents, name, edit)
        check(documents)
        what = what if what.startswith(f"{name}: ") else f"{name}: {what}"
        try:
            return await store.apply(
                documents, based_on=stored, who=who, what=what, evidence=evidence
            )
        except StoreConflict:
            if attempt + 1 == _ATTEMPTS:
                raise
    raise AssertionError


def _is_compared(field: bytes) -> bool:
    """Whether a field of the sums matters here: as served, only errors do."""
    return b"|served:" not in field or b"|served:error_rate|" in field


def _gist(experiment: Experiment) -> tuple[Any, ...]:
    """Return what statistics were judged by."""
    return experiment.version, experiment.state, shares_of(experiment), experiment.rollout


def _is_as_judged(experiment: Experiment, name: str, document: dict[str, Any]) -> bool:
    stored = decode_experiment(name, msgspec.json.encode(document))
    shares = {arm.name: arm.share for arm in stored.arms}
    return (stored.version, stored.state, shares, stored.rollout) == _gist(experiment)
