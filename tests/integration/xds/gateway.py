"""A real Envoy with the resources under test, and everything around it."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from sidecar.app.child import find_envoy
from sidecar.model import Backend, Endpoint, Snapshot
from sidecar.xds.bootstrap import bootstrap
from sidecar.xds.envoy_admin import AdminUnreachable, EnvoyAdmin
from sidecar.xds.publish import Publisher
from sidecar.xds.resources import EnvoySettings
from tests.integration.xds.upstreams import Respond, Upstream, read_body, read_headers
from tests.integration.xds.workers import Sidecar
from tests.ports import free_port

CHAT = "/v1/chat/completions"
BODY = b'{"model":"any","messages":[]}'


def backend(name: str, port: int, path: str = "", **fields: Any) -> Backend:
    url = f"{fields.pop('scheme', 'http')}://{fields.pop('host', '127.0.0.1')}:{port}{path}"
    defaults = {"model": f"model-{name}", "provider": "test", "endpoints": (Endpoint(url),)}
    return Backend(name=name, **(defaults | fields))


def snapshot(*backends: Backend, **fields: Any) -> Snapshot:
    return Snapshot(
        version=1,
        digest="d",
        backends={each.name: each for each in backends},
        routers=fields.pop("routers", {}),
        routes=None,
        catalog=None,
        default=None,
        **fields,
    )


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def backend(self) -> str | None:
        return self.headers.get("x-pointsman-backend")

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = msgspec.json.decode(self.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error


class Gateway:
    """Envoy, the publisher of its resources, a stand-in sidecar and upstreams."""

    def __init__(self, run_dir: Path, **settings: Any) -> None:
        self.settings = EnvoySettings(
            run_dir=str(run_dir), listen_port=free_port(), admin_port=free_port(), **settings
        )
        self.run_dir = run_dir
        self.environ: dict[str, str] = {}
        self.missing: list[frozenset[str]] = []
        self.publisher = Publisher(
            self.settings, self.missing.append, linger_seconds=0.5, environ=self.environ
        )
        self.admin = EnvoyAdmin(self.settings.admin_host, self.settings.admin_port)
        self.sidecar = Sidecar(str(run_dir))
        self._envoy: subprocess.Popen[bytes] | None = None
        self._upstreams: list[Upstream] = []

    async def __aenter__(self) -> Self:
        await self.sidecar.start()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self.kill_envoy()
        for upstream in self._upstreams:
            await upstream.stop()
        await self.sidecar.stop()

    async def upstream(self, respond: Respond | None = None, **options: object) -> Upstream:
        self._upstreams.append(await Upstream(respond).start(**options))
        return self._upstreams[-1]

    async def serve(self, *backends: Backend, **fields: Any) -> None:
        """Publish, then start Envoy and wait until it is ready and sees the worker."""
        await self.publisher.publish(snapshot(*backends, **fields))
        self.start_envoy()
        await self.ready()

    def start_envoy(self, **extra: Any) -> None:
        config = self.run_dir / "envoy.json"
        config.write_bytes(msgspec.json.encode(bootstrap(self.settings) | extra))
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
        with (self.run_dir / "envoy.log").open("ab") as log:
            self._envoy = subprocess.Popen(
                [find_envoy(), "--config-path", config, *options], stdout=log, stderr=log
            )

    def kill_envoy(self) -> None:
        if self._envoy is not None:
            self._envoy.kill()
            self._envoy.wait()

    async def ready(self) -> None:
        await eventually(self._ready)

    async def _ready(self) -> bool:
        assert self._envoy is not None
        assert self._envoy.poll() is None, self.log
        with contextlib.suppress(AdminUnreachable):
            await self.admin.get("/ready")
            text = await self.admin.get("/stats?filter=ext_proc.membership_healthy")
            return text.strip().endswith(b" 1")
        return False

    @property
    def log(self) -> str:
        return (self.run_dir / "envoy.log").read_text()

    async def chat(self, body: bytes = BODY, **options: Any) -> Answer:
        return await self.ask("POST", CHAT, body, **options)

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        chunked: bool = False,
    ) -> Answer:
        async with self.connection() as (reader, writer):
            length = {"transfer-encoding": "chunked"} if chunked else {"content-length": len(body)}
            named = {"host": "gateway", "content-type": "application/json", **length}
            lines = [
                f"{name}: {value}\r\n" for name, value in (named | dict(headers or {})).items()
            ]
            writer.write(f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode())
            writer.write(_in_chunks(body) if chunked else body)
            return await read_answer(reader)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(
            self.settings.listen_host, self.settings.listen_port
        )
        try:
            async with asyncio.timeout(10):
                yield reader, writer
        finally:
            writer.close()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    status = int((await reader.readline()).split()[1])
    headers = await read_headers(reader)
    if status == 100:
        return await read_answer(reader)
    return Answer(status, headers, await read_body(reader, headers))


async def eventually(check: Any, seconds: float = 10.0) -> None:
    """Wait until ``check``, a function or coroutine function, says yes."""
    async with asyncio.timeout(seconds):
        while True:
            result = check()
            if await result if asyncio.iscoroutine(result) else result:
                return
            await asyncio.sleep(0.01)


def _in_chunks(body: bytes) -> bytes:
    half = len(body) // 2
    parts = [part for part in (body[:half], body[half:]) if part]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
