"""The control process: Envoy's access log and resources, shared statistics, HTTP, the workers."""

import asyncio
import os
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import setproctitle
import structlog
import uvloop
from fastapi import APIRouter

from sidecar import __version__
from sidecar.admin.console import console_router
from sidecar.admin.explain import Ask, explain_router
from sidecar.admin.gate import Access
from sidecar.admin.http import admin_app
from sidecar.admin.public import public_router
from sidecar.admin.stats import StatsSources
from sidecar.admin.whatif import whatif_router
from sidecar.app import logs
from sidecar.app.access import access_of
from sidecar.app.channel import NO_BANDITS, Bandits, Bulletin, Inbox, packed
from sidecar.app.editing import Editing
from sidecar.app.envoy import envoy_settings, write_bootstrap
from sidecar.app.envoy_watch import EnvoyWatch
from sidecar.app.explaining import UnsavedRules, ask_workers
from sidecar.app.http import Server, server
from sidecar.app.outcomes import Outcomes
from sidecar.app.ports import check_ports
from sidecar.app.rollout import Rollouts
from sidecar.app.rules import open_feed
from sidecar.app.tracing import Tracing
from sidecar.app.traffic import traffic_routers
from sidecar.app.whatif import Asker
from sidecar.app.workers import Workers
from sidecar.config.redis_client import connect
from sidecar.config.redis_store import RedisStore
from sidecar.model import Out, Snapshot, Stats
from sidecar.settings import Settings
from sidecar.telemetry.access_log import access_log_handlers
from sidecar.telemetry.gauges import Gauges
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.recorder import Recorder
from sidecar.telemetry.rollout_gauges import RolloutCollector, Sources
from sidecar.telemetry.series import TrafficSeries
from sidecar.telemetry.shared_stats import SharedStats
from sidecar.telemetry.windows import Totals, Windows, view
from sidecar.xds.envoy_admin import EnvoyAdmin
from sidecar.xds.publish import Publisher

_log = structlog.get_logger()


def run(settings: Settings) -> None:
    """Run control and its workers until SIGTERM or SIGINT. Raises PortInUse, SettingsError."""
    access = access_of(settings)
    check_ports({"POINTSMAN_ADMIN": settings.admin})
    settings = settings.with_run_dir()
    # gRPC would complain at each start of a worker; a child that execs shares nothing with it.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    setproctitle.setproctitle("pointsman: control")
    logs.configure(settings, "control")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Control(settings, access).run())


class Control:
    """Wires the rooms of the control process; holds what more than one of them needs."""

    def __init__(self, settings: Settings, access: Access) -> None:
        self._settings = settings
        self._access = access
        self._feed, self._cache = open_feed(settings, writer=True)
        self._workers = Workers(settings)
        self._publisher = Publisher(envoy_settings(settings), lambda _: self._inform_workers())
        admin = EnvoyAdmin(settings.envoy_admin.host, settings.envoy_admin.port)
        self._envoy = EnvoyWatch(admin, self._publisher, self._feed.note, self._out)
        self._published: Snapshot | None = None
        self._windows = Windows()
        self._series = TrafficSeries()
        self._metrics = Metrics(__version__, self._gauges())
        self._shared = SharedStats(
            connect(settings.store_url(), settings.prefix),
            self._windows,
            prefix=settings.prefix,
            node=settings.node,
            in_flight=self._envoy.in_flight,
        )
        self._outcomes = Outcomes(settings, self._metrics, lambda: self._cache.current)
        self._rollouts = Rollouts(
            RedisStore(settings.store_url(), settings.prefix),
            connect(settings.store_url(), settings.prefix),
            prefix=settings.prefix,
            node=settings.node,
            snapshot=lambda: self._cache.current,
        )
        self._metrics.registry.register(RolloutCollector(self._rollout_sources()))
        self._tracing = Tracing.open(
            os.environ, settings.node, lambda: self._cache.current, self._metrics.registry
        )
        self._editing = Editing(settings)
        self._totals: Totals = {}
        self._odds = NO_BANDITS
        self._new_rules = asyncio.Event()

    async def run(self) -> None:
        """Start everything, serve until told to stop, drain."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        write_bootstrap(self._settings)
        self._cache.subscribe(self._use)
        log_server = await self._start_log_server()
        admin = self._admin_server()
        tasks = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("feed", self._feed.run()),
                ("publish", self._publish()),
                ("publisher", self._publisher.run()),
                ("statistics", self._shared.run(self._take_totals)),
                ("envoy", self._envoy.run()),
                ("outcomes", self._outcomes.run()),
                ("bandits", self._outcomes.bandits.run(self._take_odds)),
                ("ejections", self._outcomes.ejections.run(self._inform_workers)),
                ("rollouts", self._rollouts.run()),
                ("feedback", self._outcomes.clients_server().serve()),
                ("admin", admin.serve()),
            )
        ]
        self._workers.start()
        _log.info("serving", run_dir=str(self._settings.run_dir), admin=str(self._settings.admin))
        await self._until(stop, tasks)
        _log.info("draining")
        await self._workers.stop()
        admin.should_exit = True
        await log_server.stop(grace=0.5)
        await self._outcomes.close()
        await self._editing.close()
        await asyncio.to_thread(self._tracing.close)
        for task in tasks[:-1]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    async def _until(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
        """Wait for ``stop``; a task that ends before that is a defect, and ends the process."""
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            _log.error("task_ended", task=task.get_name(), exc_info=task.exception())

    # ── rules → Envoy, metrics, workers ────────────────────────────────────

    def _use(self, snapshot: Snapshot) -> None:
        self._metrics.use(snapshot)
        self._outcomes.use(snapshot)
        self._windows.use(snapshot.backends)
        self._series.use(snapshot.backends)
        self._new_rules.set()

    async def _publish(self) -> None:
        """Write Envoy's resources after each change; edits during a publication cost one more."""
        while True:
            await self._new_rules.wait()
            self._new_rules.clear()
            snapshot = self._cache.current
            if snapshot is None:
                continue
            try:
                await self._publisher.publish(snapshot)
            except OSError as error:
                _log.error("resources_not_written", error=str(error))
                continue  # Envoy has not got the new backends: nothing may be sent there
            self._published = snapshot
            self._inform_workers()

    def _take_totals(self, totals: Totals) -> None:
        self._totals = totals
        self._inform_workers()

    def _take_odds(self, odds: Bandits) -> None:
        self._odds = packed(odds)
        self._inform_workers()

    def _inform_workers(self) -> None:
        self._workers.push(self._bulletin())

    def _bulletin(self) -> Bulletin:
        stats = view(self._totals, self._shared.in_flight(), ())
        ready = None if self._published is None else self._publisher.ready
        pending = self._outcomes.pending
        return Bulletin(dict(stats.backends), ready, self._odds, self._out(), pending)

    def _out(self) -> Mapping[str, Out]:
        return self._outcomes.ejections.out

    def _stats(self) -> Stats:
        """Return the statistics as a worker would see them now."""
        inbox = Inbox()
        if self._cache.current is not None:
            inbox.use(self._cache.current)
        inbox.take(self._bulletin())
        return inbox.stats

    # ── Envoy → metrics ────────────────────────────────────────────────────

    async def _start_log_server(self) -> grpc.aio.Server:
        socket = Path(self._settings.run_folder()) / "control.sock"
        socket.unlink(missing_ok=True)
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        listeners = [self._series.outcome, self._outcomes.outcome, self._tracing.outcome]
        sink = Recorder(
            self._metrics,
            self._windows,
            listeners=listeners,
            attempt_listeners=[self._series.attempt, self._tracing.attempt, self._outcomes.attempt],
        )
        server.add_generic_rpc_handlers((access_log_handlers(sink),))
        server.add_insecure_port(f"unix:{socket}")
        await server.start()
        return server

    def _gauges(self) -> Gauges:
        return Gauges(
            config_version=lambda: self._cache.current.version if self._cache.current else None,
            config_age_seconds=lambda: self._feed.age,
            config_rejections=lambda: {**self._cache.rejected, "envoy": self._envoy.refusals},
            store_up=lambda: float(bool(self._feed.store_up)),
            in_flight=self._envoy.in_flight,
            healthy=self._envoy.healthy,
        )

    def _rollout_sources(self) -> Sources:
        return Sources(
            experiments=lambda: (
                self._cache.current.experiments.values() if self._cache.current else ()
            ),
            watched=lambda: self._rollouts.watched,
            rollbacks=lambda: self._rollouts.rollbacks,
            leads=lambda: self._rollouts.lease.held,
        )

    # ── HTTP ───────────────────────────────────────────────────────────────

    def _admin_server(self) -> Server:
        asker = whatif_router(Asker(self._settings))
        public = public_router(lambda: self._cache.current, self._envoy.healthy)
        routers = (
            console_router(),
            self._explain_router(),
            asker,
            public,
            *self._outcomes.routers(),
            *traffic_routers(self._settings, self._stats_sources(), self._ask()),
            *self._editing.routers(),
        )
        app = admin_app(self._metrics.render, self._readiness, *routers, access=self._access)
        return server(app, self._settings.admin)

    def _ask(self) -> Ask:
        return partial(ask_workers, self._settings.run_folder(), lambda: self._workers.pids)

    def _stats_sources(self) -> StatsSources:
        return StatsSources(
            node=self._settings.node,
            snapshot=lambda: self._cache.current,
            totals=lambda: self._totals,
            in_flight=self._shared.in_flight,
            health=lambda: self._envoy.health,
            envoy_answers=lambda: self._envoy.reachable,
            store_up=lambda: bool(self._feed.store_up),
            readiness=self._readiness,
            series=self._series,
        )

    def _explain_router(self) -> APIRouter:
        unsaved = UnsavedRules(self._editing.editor, self._stats, self._settings.max_body_bytes)
        return explain_router(
            self._ask(),
            unsaved.answer,
            trusted=self._settings.trusts_admin,
            max_body_bytes=self._settings.max_body_bytes,
        )

    def _readiness(self) -> tuple[bool, dict[str, Any]]:
        report = {
            "ready": self._cache.current is not None,
            "node": self._settings.node,
            "rules": self._feed.report(),
            "envoy": self._envoy.report(),
            "workers": {str(place): pid for place, pid in self._workers.pids.items()},
        }
        return self._cache.current is not None, report
