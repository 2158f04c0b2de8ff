"""Control's view of the workers: starts them, restarts those that die, pushes statistics."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process

import structlog

from sidecar.app.channel import Bulletin, frame
from sidecar.settings import Settings

RESTART_SECONDS = 0.5
_MAX_BACKLOG = 1024 * 1024
_LARGE_BODIES = {
    "MALLOC_MMAP_THRESHOLD_": str(8 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024),
}
"""glibc would map, and clear, fresh pages for every body from 128 KiB on, and give them back: a
fifth of what a body of 1 MiB costs. A worker keeps up to the second figure instead."""
_log = structlog.get_logger()


class Workers:
    """The worker processes of this node."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: dict[int, Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._last = frame(Bulletin())
        self._stopping = False

    def start(self) -> None:
        """Start all workers; each is watched by a task of its own."""
        places = range(self._settings.workers)
        self._keepers = [asyncio.create_task(self._keep(place)) for place in places]

    @property
    def pids(self) -> dict[int, int]:
        """Return the process id of each worker that runs."""
        return {place: process.pid for place, process in self._running.items()}

    def push(self, bulletin: Bulletin) -> None:
        """Send ``bulletin`` to every worker, if it differs from what was sent last."""
        message = frame(bulletin)
        if message == self._last:
            return
        self._last = message
        for process in self._running.values():
            _send(process, message)

    async def stop(self) -> None:
        """Ask all workers to drain and wait until they are gone."""
        self._stopping = True
        for process in self._running.values():
            process.terminate()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _keep(self, place: int) -> None:
        """Keep worker ``place`` running until stopped."""
        while not self._stopping:
            process = await self._spawn(place)
            self._running[place] = process
            _send(process, self._last)
            code = await process.wait()
            del self._running[place]
            if not self._stopping:
                _log.error("worker_died", place=place, exit_code=code, action="restarting")
                await asyncio.sleep(RESTART_SECONDS)

    async def _spawn(self, place: int) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sidecar.app.worker",
            str(place),
            stdin=PIPE,
            env=_LARGE_BODIES | os.environ | self._settings.environment(),
        )


def _send(process: Process, message: bytes) -> None:
    """Write without waiting; a worker that hangs must not fill control's memory."""
    pipe = process.stdin
    if pipe is None or pipe.is_closing():
        return
    if pipe.transport.get_write_buffer_size() < _MAX_BACKLOG:
        pipe.write(message)
