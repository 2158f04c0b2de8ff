"""Real redis-servers that belong together: a master with a replica and Sentinels, and a Cluster."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import redis

from tests.redis_server import executable, free_port

START_SECONDS = 20.0
MASTER = "rules"
BUS = 10000


def until(holds, what, seconds=START_SECONDS):
    """Wait until ``holds()``; what Redis refuses counts as not yet."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except (redis.RedisError, OSError) as error:
            last = error
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain for: {what} ({last})")


class Node:
    """A process of its own folder and port; ``options`` are those of redis.conf."""

    def __init__(self, folder: Path, port: int | None = None, **options: str) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.options = {name.replace("_", "-"): value for name, value in options.items()}
        self.process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(
            host="127.0.0.1", port=self.port, decode_responses=True, socket_timeout=5
        )
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, *arguments: str) -> "Node":
        options = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.folder)}
        options |= {"save": '""', "appendonly": "no"} | self.options
        config = self.folder / "redis.conf"
        if not config.exists():
            config.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [executable(), str(config), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(self._answers, (self.folder / "log").read_text())
        return self

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        self.client.close()
        self.kill()

    def _answers(self) -> bool:
        return bool(self.client.ping())


class Watched:
    """A master, a replica and three Sentinels, which replace the master after half a second."""

    def __init__(self, folder: Path) -> None:
        self.first = Node(folder / "first", repl_diskless_sync_delay="0")
        self.second = Node(
            folder / "second",
            replicaof=f"127.0.0.1 {self.first.port}",
            repl_diskless_sync_delay="0",
        )
        self.sentinels = [Node(folder / f"sentinel-{number}") for number in range(3)]
        for sentinel in self.sentinels:
            sentinel.options["sentinel"] = (
                f"monitor {MASTER} 127.0.0.1 {self.first.port} 2\n"
                f"sentinel down-after-milliseconds {MASTER} 500\n"
                f"sentinel failover-timeout {MASTER} 3000"
            )

    @property
    def nodes(self) -> list[Node]:
        return [self.first, self.second, *self.sentinels]

    @property
    def url(self) -> str:
        places = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{places}/{MASTER}"

    def start(self) -> "Watched":
        for node in (self.first, self.second):
            node.start()
        for sentinel in self.sentinels:
            sentinel.start("--sentinel")
        until(lambda: all(self._knows_all(each) for each in self.sentinels), "Sentinels")
        return self

    def master(self) -> Node:
        """Return the one that the Sentinels take for the master."""
        _, port = self.sentinels[0].client.sentinel_get_master_addr_by_name(MASTER)
        return next(node for node in (self.first, self.second) if node.port == port)

    def _knows_all(self, sentinel: Node) -> bool:
        known = sentinel.client.sentinel_master(MASTER)
        others = sentinel.client.sentinel_slaves(MASTER)
        linked = [each for each in others if each["master-link-status"] == "ok"]
        return known["num-other-sentinels"] == 2 and len(linked) == 1


class Cluster:
    """Three masters that share the slots. ``owner``: of the slot of ``{pointsman}:``."""

    def __init__(self, folder: Path) -> None:
        self.nodes = []
        for number in range(3):
            port = _port_with_bus()
            node = Node(
                folder / f"node-{number}",
                port,
                cluster_enabled="yes",
                cluster_config_file="nodes.conf",
                cluster_node_timeout="1000",
                appendonly="yes",
                appendfsync="always",
            )
            self.nodes.append(node)

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> "Cluster":
        for node in self.nodes:
            node.start()
        for number, node in enumerate(self.nodes):
            first, last = 16384 * number // 3, 16384 * (number + 1) // 3
            node.client.execute_command("CLUSTER ADDSLOTS", *range(first, last))
            node.client.execute_command("CLUSTER MEET", "127.0.0.1", self.nodes[0].port)
        until(self._is_whole, "the cluster")
        return self

    def owner(self, key: str = "{pointsman}:") -> Node:
        slot = self.nodes[0].client.execute_command("CLUSTER KEYSLOT", key)
        return self.nodes[min(slot * 3 // 16384, 2)]

    def move(self, source: Node, target: Node, key: str = "{pointsman}:") -> None:
        """Move the slot of ``key`` with all keys in it, as redis-cli --cluster reshard does."""
        slot = source.client.execute_command("CLUSTER KEYSLOT", key)
        ids = {node: node.client.execute_command("CLUSTER MYID") for node in self.nodes}
        target.client.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
        source.client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
        while keys := source.client.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
            where = ("127.0.0.1", target.port, "", 0, 5000, "KEYS")
            source.client.execute_command("MIGRATE", *where, *keys)
        for node in (target, source):
            node.client.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[target])

    def _is_whole(self) -> bool:
        return all(
            "cluster_state:ok" in str(node.client.execute_command("CLUSTER INFO"))
            or node.client.execute_command("CLUSTER INFO").get("cluster_state") == "ok"
            for node in self.nodes
        ) and all(
            len(node.client.execute_command("CLUSTER NODES")) == len(self.nodes)
            for node in self.nodes
        )


def _port_with_bus() -> int:
    """Return a free port such that 10,000 more is one too: there the nodes of a cluster talk."""
    while True:
        port = free_port()
        with suppress(OSError, OverflowError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port + BUS))
            return port


@contextmanager
def running(made: "Watched | Cluster") -> Iterator[None]:
    """Run all processes of it."""
    with ExitStack() as stack:
        for node in made.nodes:
            stack.callback(node.stop)
        made.start()
        yield


@contextmanager
def watched() -> Iterator[Watched]:
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        made = Watched(Path(folder))
        with running(made):
            yield made


@contextmanager
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        made = Cluster(Path(folder))
        with running(made):
            yield made
