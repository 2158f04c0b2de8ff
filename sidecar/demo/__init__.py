"""Simulated models over real HTTP and SSE, each a process of its own.

    with start("demo-small", latency_ms=5) as model:
        model.address               # "127.0.0.1:54321"
        model.control(status=500)   # every request fails from now on …
        model.reset()               # … and from now on none
        model.requests()            # what it was sent

Everything here is synchronous; on an event loop, `asyncio.to_thread(start, …)`.
"""

import functools
import http.client
import select
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

import msgspec

from sidecar.demo.seen import Seen

__all__ = ["DemoModel", "DemoModelFailed", "Seen", "command", "spawn", "start"]

START_SECONDS = 15.0
STOP_SECONDS = 5.0


class DemoModelFailed(RuntimeError):
    """A simulated model did not start, or refused what its control endpoint was told."""


class DemoModel:
    """A running simulated model. A context manager: leaving it ends the process."""

    def __init__(self, name: str, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.process = process

    @functools.cached_property
    def address(self) -> str:
        """``HOST:PORT``; waits until the model listens. Raises DemoModelFailed."""
        line = _first_line(self.process)
        facts = msgspec.json.decode(line) if line else {}
        if "listening" in facts:
            return str(facts["listening"])
        self.stop()
        reason = facts.get("error") or f"exit code {self.process.returncode}"
        raise DemoModelFailed(f"simulated model {self.name} did not start: {reason}")

    def control(self, **fields: object) -> dict[str, Any]:
        """Change fields of `sidecar.demo.behaviour.Behaviour`; return the state. None: show it."""
        if not fields:
            return dict(self._call("GET", "/_control"))
        return dict(self._call("PATCH", "/_control", msgspec.json.encode(fields)))

    def reset(self) -> None:
        """Behave as at the start."""
        self._call("DELETE", "/_control")

    def requests(self) -> list[Seen]:
        """Return the last 100 requests as they were received, oldest first; no health checks."""
        return msgspec.convert(self._call("GET", "/_control/requests"), list[Seen])

    def forget(self) -> None:
        """Forget the requests received so far."""
        self._call("DELETE", "/_control/requests")

    def stop(self) -> None:
        """End the process: at once if idle, else after a second at most. Idempotent."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.stop()

    def _call(self, method: str, path: str, body: bytes | None = None) -> Any:
        connection = http.client.HTTPConnection(self.address, timeout=5)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise DemoModelFailed(f"{method} {path} at {self.name}: {text.decode()}")
        return msgspec.json.decode(text)


def command(name: str, listen: str = "127.0.0.1:0", **options: object) -> list[str]:
    """Return the command line of a simulated model.

    Options are those of ``python -m sidecar.demo``: ``latency_ms``, ``first_token_ms``,
    ``tokens_per_second``, ``answer_tokens``; ``any_model``, ``fast``, ``until_stdin_closes``.
    """
    line = [sys.executable, "-m", "sidecar.demo", "--model", name, "--listen", listen]
    for option, value in options.items():
        flag = "--" + option.replace("_", "-")
        line += [flag] if value is True else [] if value is False else [flag, str(value)]
    return line


def spawn(name: str, listen: str = "127.0.0.1:0", **options: object) -> DemoModel:
    """Start a simulated model and do not wait: asking for its address does.

    It ends with this process, and it is in a process group of its own, so that Ctrl-C
    reaches only the one that started it.
    """
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command(name, listen, until_stdin_closes=True, **options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    )
    return DemoModel(name, process)


def start(name: str, listen: str = "127.0.0.1:0", **options: object) -> DemoModel:
    """Start a simulated model and wait until it listens. Raises DemoModelFailed."""
    model = spawn(name, listen, **options)
    model.address  # noqa: B018
    return model


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    """Return what the process prints first; empty when it ended or took too long."""
    assert process.stdout is not None  # noqa: S101
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    return process.stdout.readline() if ready else b""
