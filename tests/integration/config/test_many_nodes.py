"""Clients of a Redis that is more than one process, or that speaks TLS."""

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as NoConnection

from sidecar.app.lease import Lease
from sidecar.config.documents import Documents
from sidecar.config.redis_client import connect
from sidecar.config.redis_store import RedisStore
from sidecar.errors import SettingsError, StoreError, StoreUnreachable
from sidecar.memory.live import LiveMemory
from sidecar.model import Count, SetPin
from sidecar.telemetry.outbox import Call, Outbox
from tests import redis_nodes
from tests.integration.config.conftest import DOCUMENTS
from tests.redis_server import executable, free_port

TLS = Path(__file__).parents[1] / "xds" / "tls"
PREFIX = "{pointsman}:"
ADD = """
if tonumber(redis.call('HGET', KEYS[1], 'last') or '0') >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'last', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'sum', 1)
return 1
"""


class Ones:
    """A source of the outbox that adds one at each flush."""

    def __init__(self, key):
        self.key = key
        self.asked = 0
        self.done = 0

    def take(self, stamp):
        self.asked += 1
        return [Call(ADD, (self.key,), [stamp().number], self._count)]

    def _count(self, applied):
        self.done += applied


async def eventually(does, seconds=15.0):
    """Repeat until it raises nothing, as everything that runs in the background does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await does()
        except (StoreError, NoConnection, AssertionError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)


class Everything:
    """What a node has open to Redis."""

    def __init__(self, url, prefix):
        self.store = RedisStore(url, prefix)
        self.redis = connect(url, prefix)
        self.prefix = prefix
        self.lease = Lease(self.redis, f"{prefix}lease", "one")
        self.source = Ones(f"{prefix}sums")
        self.outbox = Outbox(self.redis, "one", [self.source])
        self.memory = LiveMemory(self.redis, prefix=prefix)
        self.version = 0

    async def use(self):
        """Do all of it once; raise what is not possible now."""
        wanted = Documents.of(DOCUMENTS)
        wanted.routes["at"] = b'{"router":"a","order":%d}' % time.monotonic_ns()
        stored = await self.store.load()
        version = await self.store.apply(wanted, based_on=stored, who="me", what="an edit")
        assert version == stored.version + 1
        assert (await self.store.history(1))[0].version == version
        assert await self.lease.hold() is not None
        self.memory.apply([SetPin("session", "a", 60.0), Count("used", 1.0, 60.0)])
        await self.memory.flush()
        assert self.memory.up or await self.redis.get(f"{self.prefix}pin:session") == b"a"
        await self.outbox.flush()
        assert self.outbox.up

    async def hears(self):
        """Hear of an edit."""
        async with self.store.changes() as changes:
            await self.redis.hset(f"{self.prefix}routes", "heard", b'{"router":"a"}')
            async with asyncio.timeout(5):
                assert await changes.wait() == {f"{self.prefix}routes"}


@asynccontextmanager
async def opened(url, prefix="pointsman:"):
    made = Everything(url, prefix)
    try:
        yield made
    finally:
        await made.store.close()
        await made.redis.aclose()


@pytest.mark.slow
async def test_everything_follows_the_master_that_sentinels_name():
    with redis_nodes.watched() as redises:
        for sentinel in redises.sentinels:
            rules = ("on", ">hush", "+sentinel|get-master-addr-by-name")
            sentinel.client.execute_command("ACL SETUSER", "asker", *rules)
        url = f"{redises.url}?sentinel_username=asker&sentinel_password=hush"
        first = redises.master()
        async with opened(url) as node:
            await node.use()
            await node.hears()
            assert first.client.wait(1, 1000) == 1
            redises.sentinels[0].kill()
            first.kill()
            with pytest.raises(StoreUnreachable):
                await node.store.load()
            await eventually(node.use)
            await node.hears()
            master = next(each for each in (redises.first, redises.second) if each is not first)
            assert master.client.role()[0] == "master"
            assert int(master.client.hget("pointsman:sums", "sum")) == node.source.done

            # It comes back as a master, as it was, until the Sentinels tell it otherwise.
            first.start()
            await eventually(node.use)
            assert not first.client.exists("pointsman:sums") or first.client.role()[0] == "slave"
            assert int(master.client.hget("pointsman:sums", "sum")) == node.source.done


@pytest.mark.slow
async def test_a_master_that_was_replaced_while_it_hung_is_left():
    with redis_nodes.watched() as redises:
        first = redises.master()
        async with opened(redises.url) as node:
            await node.use()
            async with node.store.changes() as changes:
                os.kill(first.process.pid, signal.SIGSTOP)
                try:
                    with pytest.raises(StoreUnreachable):
                        async with asyncio.timeout(10):
                            await changes.wait()
                finally:
                    os.kill(first.process.pid, signal.SIGCONT)
            await eventually(node.use)
            await eventually(node.hears)
            assert redises.master() is not first


async def test_a_sentinel_that_names_a_replica_is_not_believed(redis_server, tmp_path):
    replica = redis_nodes.Node(tmp_path / "replica", replicaof=f"127.0.0.1 {redis_server.port}")
    wrong, right = (redis_nodes.Node(tmp_path / name) for name in ("wrong", "right"))
    for sentinel, node in ((wrong, replica), (right, redis_server)):
        sentinel.options["sentinel"] = f"monitor rules 127.0.0.1 {node.port} 1"
    with ExitStack() as stack:
        for node in (replica, wrong, right):
            stack.callback(node.stop)
        replica.start()
        wrong.start("--sentinel")
        right.start("--sentinel")
        url = f"redis+sentinel://127.0.0.1:{wrong.port},127.0.0.1:{right.port}/rules"
        async with connect(url) as client:
            role = await eventually(lambda: client.execute_command("ROLE"))

    assert role[0] == b"master"


async def test_everything_works_on_the_one_slot_of_a_cluster_and_follows_it():
    with redis_nodes.cluster() as redises:
        first = redises.owner()
        second, third = (node for node in redises.nodes if node is not first)
        async with opened(redises.url, PREFIX) as node:
            await node.use()
            await node.hears()
            async with node.store.changes() as changes:
                redises.move(first, second)
                async with asyncio.timeout(5):
                    await changes.wait()
            await eventually(node.use)
            await node.hears()
            assert int(second.client.hget(f"{PREFIX}sums", "sum")) == node.source.done

            second.kill()
            with pytest.raises(StoreUnreachable):
                await node.store.load()
            second.start()
            await eventually(node.use)
            await node.hears()
            assert int(second.client.hget(f"{PREFIX}sums", "sum")) == node.source.done
            assert third.client.dbsize() == 0


@pytest.mark.parametrize("prefix", ["pointsman:", "{}:", "x{pointsman}:", ""])
def test_a_prefix_that_spreads_keys_over_a_cluster_is_refused(prefix):
    with pytest.raises(SettingsError, match=r"such as \{pointsman\}:"):
        RedisStore("redis+cluster://127.0.0.1:1", prefix)


async def test_that_nobody_knows_a_master_is_said_without_secrets():
    url = "redis+sentinel://me:hush@127.0.0.1:1/main?sentinel_password=hush"
    store = RedisStore(url)

    with pytest.raises(StoreUnreachable, match=r"no master found; 127\.0\.0\.1:1") as raised:
        await store.load()

    assert "hush" not in str(raised.value)
    await store.close()


@pytest.fixture(scope="module")
def tls_server():
    """A Redis that speaks only TLS and lets in only clients with a certificate."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        key = TLS / "localhost.pem"
        port = free_port()
        options = ("--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", "")
        files = (
            "--tls-cert-file",
            key,
            "--tls-key-file",
            key,
            "--tls-ca-cert-file",
            TLS / "ca.pem",
        )
        process = subprocess.Popen(
            [executable(), *options, *map(str, files), "--dir", folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            for line in process.stdout:
                if b"Ready to accept" in line:
                    break
            else:
                pytest.skip("this redis-server was built without TLS")
            yield f"rediss://localhost:{port}/0?ssl_ca_certs={TLS / 'ca.pem'}"
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


async def test_tls_with_a_certificate_of_the_client(tls_server):
    key = TLS / "localhost.pem"
    async with opened(f"{tls_server}&ssl_certfile={key}&ssl_keyfile={key}") as node:
        await node.use()
        await node.hears()


async def test_tls_without_a_certificate_or_with_another_authority_is_refused(tls_server):
    other = tls_server.replace("ca.pem", "localhost.pem")
    for url in (tls_server, other, tls_server.partition("?")[0]):
        async with opened(url) as node:
            with pytest.raises(StoreUnreachable):
                await node.store.load()
