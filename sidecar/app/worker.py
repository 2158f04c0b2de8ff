"""A worker process: decides. It talks to Envoy over one Unix socket and subscribes to the rules."""

import asyncio
import gc
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import setproctitle
import structlog
import uvloop

from sidecar.app import logs
from sidecar.app.channel import Inbox
from sidecar.app.recording import FactsRecorder, facts_recorder
from sidecar.app.rules import open_feed
from sidecar.app.sampling import sampling
from sidecar.config.redis_client import connect
from sidecar.explain import Records
from sidecar.memory import LiveMemory
from sidecar.memory.hooks import Guards
from sidecar.model import Snapshot, Stats
from sidecar.settings import Settings
from sidecar.wire.asker import Asker
from sidecar.wire.decider import Decider
from sidecar.wire.explainer import Explainer
from sidecar.wire.server import DecisionServer

NOTICE_SECONDS = 1.5
"""How long a draining worker goes on: longer than the interval of Envoy's health checks."""
GRACE_SECONDS = 5.0
LEARN_SECONDS = 1.0
"""How long a worker that starts waits for what budgets have counted; longer when Redis is away."""
_log = structlog.get_logger()


class Live(NamedTuple):
    """What decisions and explanations look at, as it is now."""

    snapshot: Callable[[], Snapshot | None]
    stats: Callable[[], Stats]
    memory: LiveMemory
    guards: Guards


def socket_path(run_dir: Path, place: int) -> Path:
    """Return the Unix socket of worker ``place``."""
    return run_dir / f"worker-{place}.sock"


def main() -> None:
    """Run worker number ``sys.argv[1]`` until SIGTERM, or until control is gone."""
    settings, place = Settings.read(os.environ), int(sys.argv[1])
    setproctitle.setproctitle(f"pointsman: worker {place}")
    logs.configure(settings, f"worker {place}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, place))


async def _run(settings: Settings, place: int) -> None:
    feed, cache = open_feed(settings, writer=False)
    redis = connect(settings.store_url(), settings.prefix)
    guards = Guards(ca_file=None if settings.ca_file is None else str(settings.ca_file))
    memory = LiveMemory(redis, prefix=settings.prefix, verdict=guards.verdict)
    inbox = Inbox(memory.add_pending)
    cache.subscribe(inbox.use)
    live = Live(lambda: cache.current, lambda: inbox.stats, memory, guards)
    recorder = facts_recorder(settings, redis)
    server = _server(settings, socket_path(settings.run_folder(), place), live, recorder)
    remembering = asyncio.create_task(memory.run())
    # Who does not know yet what was spent would let everybody go on.
    await memory.learnt(LEARN_SECONDS)
    await server.start()
    gc.freeze()  # what was imported stays for good: the collector need not look at it again
    listening = asyncio.create_task(inbox.listen())
    running = [listening, remembering, *map(asyncio.create_task, (feed.run(), recorder.run()))]
    await _until_told(listening)
    _log.info("draining")
    await server.drain(NOTICE_SECONDS, GRACE_SECONDS)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await memory.flush()
    await recorder.flush(math.inf)
    await guards.close()
    await redis.aclose()


def _server(
    settings: Settings, socket: Path, live: Live, recorder: FactsRecorder
) -> DecisionServer:
    """Return the server of decisions and explanations on ``socket``."""
    records, most_bytes = Records(settings.record_decisions), settings.max_body_bytes
    asker = settings.explain_askers()
    decider = Decider(
        live.snapshot,
        live.stats,
        most_bytes,
        memory=live.memory,
        guards=live.guards,
        records=records,
        explain_to=Asker(*asker) if any(asker) else None,
        sample=recorder,
        tracing=sampling(os.environ),
    )
    explainer = Explainer(
        live.snapshot,
        live.stats,
        most_bytes,
        records=records,
        memory=live.memory,
        guards=live.guards,
    )
    return DecisionServer(decider, socket, most_bytes, explainer)


async def _until_told(listening: asyncio.Task[None]) -> None:
    """Wait for SIGTERM or for the end of control."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # Ctrl-C goes to the whole terminal; control decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listening.add_done_callback(lambda _task: stop.set())
    await stop.wait()


if __name__ == "__main__":
    main()
