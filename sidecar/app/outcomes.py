"""What control does with outcomes besides metrics: experiments, log of decisions, feedback."""

import asyncio
from collections.abc import Callable, Container, Mapping
from contextlib import suppress

import structlog
from fastapi import APIRouter

from sidecar.admin.budgets import BudgetSource, budgets_router
from sidecar.admin.experiments import experiments_router
from sidecar.admin.feedback import Desk, clients_app, feedback_router
from sidecar.app.budgets import BudgetCounters
from sidecar.app.ejection import open_ejections
from sidecar.app.http import Server, server
from sidecar.config.redis_client import connect
from sidecar.model import Experiment, Snapshot
from sidecar.settings import Settings
from sidecar.telemetry.arm_sums import ArmSums, Pairs, measure, pairs_of
from sidecar.telemetry.bandits import Bandits
from sidecar.telemetry.charges import Charges
from sidecar.telemetry.decision_index import ASSIGNED, OTHERS, DecisionIndex
from sidecar.telemetry.decision_log import DecisionLog
from sidecar.telemetry.feedback import Accepted, Feedback
from sidecar.telemetry.gauges import BanditCollector, BudgetCollector
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.outbox import Outbox
from sidecar.telemetry.outcome import FailedAttempt, Outcome
from sidecar.telemetry.tally import Tally
from sidecar.xds.resources import FEEDBACK_SOCKET

MOST_OTHERS = 100_000
"""Decisions outside of experiments that feedback may be about: it moves no more than a counter."""
_TALLY = "outcomes.tally"
_CLOSE_SECONDS = 2.0
_log = structlog.get_logger()


class Outcomes:
    """Takes outcomes of decided requests. ``snapshot``: the live rules."""

    def __init__(
        self, settings: Settings, metrics: Metrics, snapshot: Callable[[], Snapshot | None]
    ) -> None:
        self._redis = redis = connect(settings.store_url(), settings.prefix)
        self._prefix = settings.prefix
        most = {
            ASSIGNED: settings.feedback_decisions,
            OTHERS: min(settings.feedback_decisions, MOST_OTHERS),
        }
        self._metrics = metrics
        self._snapshot = snapshot
        self._run_dir = settings.run_folder()
        self._pairs: Pairs = {}
        self._tally = Tally(self._run_dir / _TALLY)
        self._sums = ArmSums(settings.prefix, self._count)
        self._index = DecisionIndex(settings.prefix, most, settings.feedback_hours)
        self._decisions = DecisionLog(
            settings.prefix,
            settings.node,
            settings.decision_log,
            settings.decision_log_hours,
            metrics.decision_log,
        )
        self.bandits = Bandits(redis, settings.prefix)
        self.ejections = open_ejections(settings, metrics)
        metrics.registry.register(BanditCollector(self.bandits.probabilities))
        self._charges = Charges(settings.prefix)
        sources = (self._sums, self._index, self._decisions, self.bandits, self._charges)
        self._outbox = Outbox(redis, settings.node, sources)
        self.budgets = BudgetCounters(redis, settings.prefix, snapshot)
        metrics.registry.register(BudgetCollector(self.budgets.ratios))
        feedback = Feedback(redis, self._index, self._experiments, listeners=[self._on_feedback])
        self._desk = Desk(feedback, settings.feedback_per_second, self._keys)

    @property
    def pending(self) -> dict[str, float]:
        """What budgets have to count besides what Redis has, while Redis is away."""
        return {} if self._outbox.up else self._charges.waiting()

    def use(self, snapshot: Snapshot) -> None:
        """Know the experiments and the bandits of ``snapshot``."""
        self.bandits.use(snapshot)
        self.ejections.use(snapshot)
        self._pairs = pairs_of(snapshot.experiments.values())

    async def run(self) -> None:
        """Write what came in, until cancelled."""
        if self._tally.lost:
            _log.warning("outcomes_lost", at_most=self._tally.lost)
            self._metrics.experiment_outcomes("lost", self._tally.lost)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._outbox.run())
            tasks.create_task(self.budgets.run())

    def clients_server(self) -> Server:
        """Return the server that Envoy sends clients' feedback to."""
        return server(clients_app(self._desk), self._run_dir / FEEDBACK_SOCKET)

    async def close(self) -> None:
        """Write what is left; the access log must have ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._outbox.flush()

    def routers(self) -> tuple[APIRouter, ...]:
        """Return the endpoints for the admin address."""
        reports = experiments_router(self._redis, self._prefix, self._experiments)
        return feedback_router(self._desk), reports, budgets_router(self._used())

    def _used(self) -> BudgetSource:
        return BudgetSource(self.budgets.usage, self.budgets.names)

    def outcome(self, outcome: Outcome) -> None:
        """Take what came of one request."""
        self.ejections.outcome(outcome)
        if outcome.undecided or not outcome.decision_id:
            return
        snapshot = self._snapshot()
        backend = snapshot.backends.get(outcome.backend) if snapshot else None
        values = measure(outcome, backend)
        if outcome.charges:
            self._charges.add(outcome, backend)
        if outcome.assignments:
            self._sums.add(outcome, values, self._pairs)
            self._tally.take(len(outcome.assignments))
            self.bandits.add(outcome, values)
        self._decisions.add(outcome, values, backend.model if backend else "")
        self._index.add(outcome)

    def attempt(self, attempt: FailedAttempt) -> None:
        """Take a failed attempt."""
        self.ejections.attempt(attempt)

    def _count(self, result: str, count: int) -> None:
        self._metrics.experiment_outcomes(result, count)
        self._tally.write(count)

    def _on_feedback(self, accepted: Accepted) -> None:
        name = accepted.metric if accepted.declared else ""
        self._metrics.feedback(accepted.backend, name)
        self.bandits.feedback(accepted)

    def _experiments(self) -> Mapping[str, Experiment]:
        snapshot = self._snapshot()
        return {**self.bandits.experiments, **(snapshot.experiments if snapshot else {})}

    def _keys(self) -> Container[str]:
        snapshot = self._snapshot()
        return snapshot.keys if snapshot else ()
