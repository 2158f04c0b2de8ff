"""What Envoy's admin interface tells: which clusters it has, how its backends are."""

import asyncio
import re
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from sidecar.errors import PointsmanError
from sidecar.xds.resources import UNREACHABLE

_LONGEST_REGEX = 8000
"""Bytes of a request line that are safe; above, all clusters are listed."""


class AdminUnreachable(PointsmanError):
    """Envoy's admin does not answer."""

    code = "envoy_unreachable"


class BackendHealth(NamedTuple):
    """``healthy``: a real host takes traffic. ``in_flight``: requests on all real hosts.

    ``hosts``: how many there are; none while a name is not resolved. ``reason``: why it is not
    healthy, for people.
    """

    healthy: bool
    in_flight: int
    hosts: int
    reason: str = ""


class EnvoyAdmin:
    """A client of the admin interface: one connection per question."""

    def __init__(self, host: str, port: int, timeout_seconds: float = 1.0) -> None:
        self._host = host
        self._port = port
        self._timeout = timeout_seconds

    async def get(self, path: str) -> bytes:
        """Return the body of the answer. Raises AdminUnreachable, also on a status but 200."""
        try:
            async with asyncio.timeout(self._timeout):
                status, body = _parsed(await self._exchange(path))
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            raise AdminUnreachable(f"{self._host}:{self._port}: {error!r}") from error
        if status != 200:
            raise AdminUnreachable(f"{path}: status {status}")
        return body

    async def active_clusters(self, names: Collection[str]) -> frozenset[str]:
        """Return which of these clusters can take requests."""
        query = "/config_dump?resource=dynamic_active_clusters&mask=cluster.name"
        pattern = quote("|".join(map(re.escape, sorted(names))))
        if len(pattern) <= _LONGEST_REGEX:
            query += f"&name_regex={pattern}"
        dump = msgspec.json.decode(await self.get(query), type=_ClusterDump)
        return frozenset(config.cluster.name for config in dump.configs).intersection(names)

    async def versions(self) -> dict[str, str]:
        """Return the version of each resource file that Envoy took last, by name of its stat."""
        text = (await self.get("/stats?type=TextReadouts")).decode()
        pairs = (line.partition(": ") for line in text.splitlines())
        return {name: value.strip('"') for name, _, value in pairs}

    async def backends(self) -> dict[str, BackendHealth]:
        """Return the state of each cluster that is a backend."""
        listing = msgspec.json.decode(await self.get("/clusters?format=json"), type=_Clusters)
        return {
            cluster.name: _health(cluster.host_statuses)
            for cluster in listing.cluster_statuses
            if "~" not in cluster.name
        }

    async def _exchange(self, path: str) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(
                f"GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n".encode()
            )
            return await reader.read()
        finally:
            writer.close()


class _Named(msgspec.Struct):
    name: str = ""


class _ClusterConfig(msgspec.Struct):
    cluster: _Named = msgspec.field(default_factory=_Named)


class _ClusterDump(msgspec.Struct):
    configs: list[_ClusterConfig] = []


class _SocketAddress(msgspec.Struct):
    address: str = ""
    port_value: int = 0


class _Address(msgspec.Struct):
    socket_address: _SocketAddress = msgspec.field(default_factory=_SocketAddress)


class _Stat(msgspec.Struct):
    name: str
    value: str = "0"


class _HostHealth(msgspec.Struct):
    failed_active_health_check: bool = False
    failed_outlier_check: bool = False
    pending_active_hc: bool = False


class _Host(msgspec.Struct):
    address: _Address
    stats: list[_Stat] = []
    health_status: _HostHealth = msgspec.field(default_factory=_HostHealth)


class _Cluster(msgspec.Struct):
    name: str
    host_statuses: list[_Host] = []


class _Clusters(msgspec.Struct):
    cluster_statuses: list[_Cluster] = []


def _health(hosts: list[_Host]) -> BackendHealth:
    real = [host for host in hosts if _place(host) != UNREACHABLE]
    active = sum(int(s.value) for host in real for s in host.stats if s.name == "rq_active")
    healthy = any(_takes_traffic(host.health_status) for host in real)
    return BackendHealth(healthy, active, len(real), "" if healthy else _reason(real))


def _reason(hosts: list[_Host]) -> str:
    """Say what keeps all of these hosts from taking traffic."""
    if not hosts:
        return "no address: its name is not resolved"
    states = [host.health_status for host in hosts]
    if any(state.failed_active_health_check for state in states):
        return "its health check fails"
    if any(state.failed_outlier_check for state in states):
        return "ejected for a while: too many errors in a row"
    return "its first health check is not over"


def _place(host: _Host) -> tuple[str, int]:
    return host.address.socket_address.address, host.address.socket_address.port_value


def _takes_traffic(health: _HostHealth) -> bool:
    return not (
        health.failed_active_health_check or health.failed_outlier_check or health.pending_active_hc
    )


def _parsed(answer: bytes) -> tuple[int, bytes]:
    """Return status and body of a HTTP/1.1 response that ended with its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1]) if b" " in head else 0
    return status, _dechunked(body) if b"chunked" in head.lower() else body


def _dechunked(body: bytes) -> bytes:
    parts, position = [], 0
    while position < len(body):
        end = body.index(b"\r\n", position)
        size = int(body[position:end], 16)
        parts.append(body[end + 2 : end + 2 + size])
        position = end + 2 + size + 2
    return b"".join(parts)
