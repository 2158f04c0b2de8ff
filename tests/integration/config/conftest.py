"""A store, and feeds that follow it, on a real Redis."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import msgspec
import pytest
import redis.asyncio

from sidecar.config.documents import Documents
from sidecar.config.feed import ConfigFeed
from sidecar.config.redis_store import RedisStore
from sidecar.config.snapshot_cache import SnapshotCache

DOCUMENTS = {
    "backends": {"a": {"endpoints": ["http://a/v1"]}},
    "routes": {"r": {"router": "a", "order": 1}},
}


@pytest.fixture
async def store(redis_url):
    store = RedisStore(redis_url)
    yield store
    await store.close()


@pytest.fixture
async def by_hand(redis_url):
    """What an operator has: redis-cli."""
    async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
async def seeded(store):
    await store.apply(Documents.of(DOCUMENTS), based_on=None, who="me", what="first")
    return store


@pytest.fixture
def until():
    """Wait for a condition, looking again every millisecond, 10 seconds at most."""

    async def wait(condition: Callable[[], object]) -> None:
        deadline = monotonic() + 10
        while not condition():
            assert monotonic() < deadline, "it did not happen"
            await asyncio.sleep(0.001)

    return wait


@pytest.fixture
def statuses(until):
    """Wait for a status that a node wrote and that satisfies a condition."""

    async def wait(url, node, condition=bool):
        with redis.Redis.from_url(url) as client:

            def status():
                return msgspec.json.decode(client.get(f"pointsman:status:{node}") or b"{}")

            await until(lambda: condition(status()))
            return status()

    return wait


@pytest.fixture
async def follow(tmp_path):
    """Start a feed; all are ended with the test."""
    running = []

    def start(url: str, *, state_dir: Path | None = None, **arguments) -> ConfigFeed:
        store, cache = RedisStore(url), SnapshotCache()
        feed = ConfigFeed(store, cache, state_dir=state_dir or tmp_path / "state", **arguments)
        feed.cache = cache
        running.append((asyncio.create_task(feed.run()), store))
        return feed

    yield start
    for task, store in running:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.close()


class DeafProxy:
    """Passes bytes on until it is ``deaf``: then it keeps connections and says nothing."""

    def __init__(self, port: int) -> None:
        self.deaf = False
        self.url = ""
        self._port = port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        finally:
            far_writer.close()
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if not self.deaf:
                writer.write(data)
        writer.close()


@pytest.fixture
async def deaf_proxy(shared_redis):
    proxy = DeafProxy(shared_redis.port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    yield proxy
    server.close()
