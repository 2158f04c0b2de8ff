"""The facts of some requests, on their way from a worker to the log of facts.

On the request path a sampled request is only put into a list. Its prompt is looked at later,
between other requests, and never for more than a twentieth of the worker's time.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from sidecar import whatif
from sidecar.errors import RequestError
from sidecar.explain import Record
from sidecar.model import InferenceRequest
from sidecar.settings import Settings
from sidecar.telemetry import facts_log
from sidecar.telemetry.facts_log import Logged, Pipelining

INTERVAL = 1.0
"""Seconds between writes, and at least before a request is looked at: its guards have answered."""
MOST_WAITING = 50
"""Requests of one interval; more are not recorded."""
MOST_BYTES = 16 * 1024 * 1024
"""Of their bodies."""
TIMEOUT = 5.0
"""Seconds that Redis may take."""
_STRETCH = 0.0005
"""Seconds of looking at requests, about, before others have their turn."""
_REST = 19
"""Times as long the task then sleeps."""

Write = Callable[[Sequence[Logged]], Awaitable[None]]
_log = structlog.get_logger()


class _Waiting(NamedTuple):
    record: Record
    request: InferenceRequest


class FactsRecorder:
    """Takes sampled requests and hands their facts to ``write``, which may raise anything.

    ``share``: of all requests, 0 to 1. A request is sampled by its decision's seed, so the choice
    is the same wherever it is made, and independent of the request.
    """

    def __init__(self, share: float, write: Write) -> None:
        self.below = int(share * 2**64)
        """Seeds below this are sampled."""
        self.dropped = 0
        """How many sampled requests were not recorded."""
        self._write = write
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._up = True

    def take(self, record: Record, request: InferenceRequest) -> None:
        """Remember a request. Never waits, never raises."""
        if len(self._waiting) >= MOST_WAITING or self._bytes + record.size > MOST_BYTES:
            self.dropped += 1
            return
        self._bytes += record.size
        self._waiting.append(_Waiting(record, request))

    async def run(self) -> None:
        """Write every INTERVAL until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.flush(time.time() - INTERVAL)

    async def flush(self, until: float) -> None:
        """Write the facts of what was decided until then (Unix seconds)."""
        entries: list[Logged] = []
        started = time.perf_counter()
        while self._waiting and self._waiting[0].record.now <= until:
            record, request = self._waiting.popleft()
            self._bytes -= record.size
            facts = _facts(record, request)
            if facts is not None:
                entries.append(Logged(record.id, facts))
            spent = time.perf_counter() - started
            if spent > _STRETCH:
                await asyncio.sleep(_REST * spent)
                started = time.perf_counter()
        if entries:
            await self._send(entries)

    async def _send(self, entries: Sequence[Logged]) -> None:
        try:
            await self._write(entries)
        except Exception as error:  # noqa: BLE001
            # Whatever a client raises: it is a sample, and the next one may be written again.
            self.dropped += len(entries)
            if self._up:
                _log.warning("facts_not_written", why=repr(error))
            self._up = False
        else:
            self._up = True


def facts_recorder(settings: Settings, redis: Pipelining) -> FactsRecorder:
    """Return the recorder of the settings; without a log of decisions it takes nothing."""
    share = settings.decision_facts if settings.decision_log else 0.0

    async def write(entries: Sequence[Logged]) -> None:
        oldest = time.time() - settings.decision_log_hours * 3600
        async with asyncio.timeout(TIMEOUT):
            await facts_log.write(
                redis, settings.prefix, entries, most=settings.decision_log, oldest=oldest
            )

    return FactsRecorder(share, write)


def _facts(record: Record, request: InferenceRequest) -> bytes | None:
    try:
        taken = whatif.take(request, record.snapshot.headers, record.reads)
        return None if taken is None else whatif.encode(taken)
    except RequestError:
        return None
    except Exception:  # noqa: BLE001 - no request may end the task that records the others
        _log.exception("facts_not_taken", path=record.path, decision=record.id)
        return None
