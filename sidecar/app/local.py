"""`pointsman up`: Redis, demo models, the sidecar and Envoy on this machine, started and ended."""

import os
import re
import shutil
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
from rich.console import Console

from sidecar.app.child import Child, find_envoy, find_redis
from sidecar.app.envoy import BOOTSTRAP
from sidecar.errors import PointsmanError
from sidecar.settings import EMBEDDED_REDIS, Address, Settings
from sidecar.xds.resources import EXT_PROC

START_SECONDS = 30.0
RESTART_SECONDS = 3.0


_console = Console(stderr=True, highlight=False)


class StartFailed(PointsmanError):
    """Something did not come up; the message has the end of its log."""

    code = "start_failed"


class Local:
    """A set of processes on this machine. A context manager: leaving it ends them all."""

    def __init__(self, settings: Settings) -> None:
        self._own_run_dir = settings.run_dir is None
        settings = settings.with_run_dir()
        if not settings.redis_url and settings.state_dir is None:
            # The embedded Redis forgets everything; older rules must not come back without it.
            state = settings.run_folder() / "state"
            settings = msgspec.structs.replace(settings, state_dir=state)
        self.settings = settings
        self.children: dict[str, Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self.children.values()):
            child.stop()
        if self._own_run_dir:
            shutil.rmtree(self.settings.run_folder(), ignore_errors=True)

    def start(self, child: Child, answers: Callable[[], bool]) -> Child:
        """Start ``child`` and wait until it answers. Raises StartFailed with the end of its log."""
        self.children[child.name] = child
        child.start()
        deadline = time.monotonic() + START_SECONDS
        while not answers():
            if child.poll() is not None or time.monotonic() > deadline:
                raise StartFailed(f"{child.name} did not start:\n{child.last_lines()}")
            time.sleep(0.02)
        return child

    def start_redis(self, address: Address = EMBEDDED_REDIS) -> Child:
        """Start a private Redis; what it holds is gone when it ends."""
        return self.start(
            Child("redis", redis_command(address, self.settings.run_folder()), self._folder),
            lambda: connects(address),
        )

    def start_sidecar(self) -> Child:
        """Start `pointsman serve` with these settings."""
        environment = os.environ | self.settings.environment()
        command = [sys.executable, "-m", "sidecar.cli", "serve"]
        ready = f"http://{self.settings.admin}/healthz"
        return self.start(
            Child("sidecar", command, self._folder, environment), lambda: fetch(ready) is not None
        )

    def start_envoy(self, *arguments: str) -> Child:
        """Start Envoy on the bootstrap that the sidecar has written, with further arguments."""
        ready = f"http://{self.settings.envoy_admin}/ready"
        command = [*envoy_command(self._folder), *arguments]
        return self.start(Child("envoy", command, self._folder), lambda: fetch(ready) is not None)

    def await_decisions(self, seconds: float = 5.0) -> None:
        """Wait until Envoy asks the workers; without rules they refuse, so not for ever."""
        deadline = time.monotonic() + seconds
        healthy = re.compile(rf"^{EXT_PROC}::.*::health_flags::healthy$", re.MULTILINE)
        while time.monotonic() < deadline:
            if healthy.search(fetch(f"http://{self.settings.envoy_admin}/clusters") or ""):
                return
            time.sleep(0.02)

    def restart_dead(self, stop: threading.Event) -> None:
        """Start again what has ended, after a moment; ``stop`` cuts that moment short."""
        for child in self.children.values():
            code = child.poll()
            if code is None:
                continue
            _console.print(f"[red]{child.name} ended[/] {_reason(code)}; starting it again")
            if not stop.wait(RESTART_SECONDS):
                child.start()

    def pids(self) -> dict[str, int]:
        """Return the process id of each program."""
        return {name: child.pid for name, child in self.children.items()}

    @property
    def _folder(self) -> Path:
        return self.settings.run_folder()


def redis_command(address: Address, folder: Path) -> list[str | Path]:
    """Return the command line of a Redis that keeps nothing on disk."""
    place: list[str | Path] = ["--port", str(address.port), "--bind", address.host, "--dir", folder]
    return [find_redis(), *place, "--save", "", "--appendonly", "no"]


def envoy_command(folder: Path) -> list[str | Path]:
    """Return the command line of an Envoy on the bootstrap in ``folder``.

    Without hot restart, so that several Envoys can run on one machine.
    """
    return [
        find_envoy(), "--config-path", folder / BOOTSTRAP, "--disable-hot-restart",
        "--log-level", "warning",
        "--component-log-level", "misc:error", "--log-format", "%Y-%m-%dT%T.%e %l %n %v",
    ]  # fmt: skip


def connects(address: Address) -> bool:
    """Return whether something listens on ``address``."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(tuple(address)) == 0


def fetch(url: str) -> str | None:
    """Return what ``url`` (of our own, on loopback) answers; ``None`` unless that is a 200."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310
            return str(response.read().decode()) if response.status == 200 else None
    except OSError:
        return None


def _reason(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
