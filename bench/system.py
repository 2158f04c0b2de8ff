"""A whole Pointsman for a benchmark, on free ports and in a private folder."""

import json
import random
import socket
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import redis

from bench.cpu import cpu_seconds, rss_bytes, tree
from bench.rules import body
from sidecar.app.local import Local
from sidecar.config.documents import KINDS
from sidecar.settings import Address, Settings

DECIDED, UNDECIDED = "/v1/chat/completions", "/v1/undecided"
"""Two paths that differ in one thing: whether a worker is asked."""

DECISION = "x-pointsman-decision"
"""The header of answers that were decided; without it the request failed open."""

SETTLE_SECONDS = 0.5
"""Longer than Envoy keeps access log entries: after it, no work of a run is left."""

_START_SECONDS = 30.0
_FIRST_PORT, _LAST_PORT = 12_000, 30_000
"""Below the range from which the kernel takes ports of outgoing connections."""


class Cpu(NamedTuple):
    """CPU time: of Envoy, of the whole sidecar, and of its workers alone."""

    envoy: float
    sidecar: float
    workers: float

    def since(self, before: "Cpu", requests: int) -> "Cpu":
        """Return the microseconds of each request; this and ``before`` are in seconds."""
        pairs = zip(self, before, strict=True)
        return Cpu(*((now - then) / requests * 1e6 for now, then in pairs))

    def __str__(self) -> str:
        control = self.sidecar - self.workers
        return f"Envoy {self.envoy:.0f}, workers {self.workers:.0f}, control {control:.0f}"


class System:
    """Runs between `__enter__` and `__exit__`, which end every process that it has started."""

    def __init__(
        self, documents: Mapping[str, Any], *, workers: int = 2, envoy: tuple[str, ...] = ()
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pointsman-bench-")
        self._documents = documents
        self._envoy_arguments = envoy
        self._redis = Address("127.0.0.1", _free_port())
        folder = Path(self._folder.name)
        self.local = Local(
            Settings(
                listen=Address("127.0.0.1", _free_port()),
                admin=Address("127.0.0.1", _free_port()),
                envoy_admin=Address("127.0.0.1", _free_port()),
                redis_url=f"redis://{self._redis}/0",
                run_dir=folder / "run",
                state_dir=folder / "state",
                workers=workers,
                log_format="json",
            )
        )
        self.address = str(self.local.settings.listen)
        self.store = redis.Redis(*self._redis)

    def __enter__(self) -> Self:
        try:
            self.local.start_redis(self._redis)
            self._write()
            self.local.start_sidecar()
            self.local.start_envoy(*self._envoy_arguments)
            _wait(self._all_workers_healthy, "all workers in Envoy's view")
            _wait(self._decides, "a decided answer")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.store.close()
        self.local.__exit__()
        self._folder.cleanup()

    @property
    def control(self) -> int:
        """Process id of control."""
        return self.local.children["sidecar"].pid

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers: control has no other children."""
        return tree(self.control)[1:]

    def cpu(self) -> Cpu:
        """Return the CPU seconds used so far."""
        return Cpu(
            envoy=cpu_seconds(self.local.children["envoy"].pid),
            sidecar=cpu_seconds(self.control),
            workers=sum(self.worker_seconds()),
        )

    def worker_seconds(self) -> list[float]:
        """Return the CPU seconds that each worker has used so far."""
        return [cpu_seconds(pid) for pid in self.workers]

    def worker_mib(self) -> float:
        """Return the resident memory of the largest worker in MiB."""
        return max(rss_bytes(pid) for pid in self.workers) / 2**20

    def put(self, kind: str, name: str, document: object) -> None:
        """Write one document, as somebody with redis-cli would."""
        self.store.hset(f"pointsman:{kind}", name, json.dumps(document))

    def _write(self) -> None:
        with self.store.pipeline() as pipe:
            for kind in KINDS:
                for name, document in self._documents.get(kind, {}).items():
                    pipe.hset(f"pointsman:{kind}", name, json.dumps(document))
            pipe.execute()

    def _all_workers_healthy(self) -> bool:
        admin = self.local.settings.envoy_admin
        with urllib.request.urlopen(f"http://{admin}/clusters", timeout=5) as response:
            text = response.read().decode()
        healthy: int = text.count(".sock::health_flags::healthy")
        return healthy > self.local.settings.workers  # control's socket is one more

    def _decides(self) -> bool:
        url = f"http://{self.address}{DECIDED}"
        with urllib.request.urlopen(url, data=body(), timeout=5) as response:
            return bool(DECISION in response.headers)


def _wait(holds: Callable[[], bool], what: str) -> None:
    """Wait until ``holds()`` is true; errors of the connection count as not yet."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise TimeoutError(f"waited {_START_SECONDS:.0f} s in vain for {what}")


def _free_port() -> int:
    """Return a port that was free on loopback a moment ago."""
    while True:
        port = random.randint(_FIRST_PORT, _LAST_PORT)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
