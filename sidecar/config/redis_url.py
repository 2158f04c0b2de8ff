"""URLs of a Redis behind Sentinels or in a Cluster: ``redis+sentinel://``, ``redis+cluster://``."""

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

from redis.asyncio.connection import parse_url

from sidecar.config.masters import Address

SENTINEL, CLUSTER = "sentinel", "cluster"
_PORTS = {SENTINEL: 26379, CLUSTER: 6379}


class ManyNodes(NamedTuple):
    """What such a URL says. ``name``: of the master, with Sentinels.

    ``options`` and ``sentinel_options`` are redis-py's, for connections to Redis and to Sentinels.
    """

    kind: str
    tls: bool
    nodes: list[Address]
    name: str
    options: dict[str, Any]
    sentinel_options: dict[str, Any]


def parse(url: str) -> ManyNodes:
    """Return what is in ``url``. Raises ValueError; its text may quote a secret."""
    scheme, _, rest = url.partition("://")
    secure, _, kind = scheme.partition("+")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    user, at, hosts = authority.rpartition("@")
    name, _, db = path.partition("/") if kind == SENTINEL else ("", "", path)
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    own = {key: pairs.pop(f"sentinel_{key}", "") for key in ("username", "password")}
    options: dict[str, Any] = {
        **parse_url(f"{secure}://{user}{at}localhost/{_db(kind, db)}?{urlencode(pairs)}")
    }
    for known in ("host", "port", "connection_class"):
        options.pop(known, None)
    if kind == SENTINEL and not name:
        raise ValueError("no name of a master")
    shared = {key: value for key, value in options.items() if key.startswith("ssl_")}
    sentinel_options = shared | {key: value for key, value in own.items() if value}
    nodes = [_address(host, _PORTS[kind]) for host in hosts.split(",")]
    return ManyNodes(kind, secure == "rediss", nodes, unquote(name), options, sentinel_options)


def _db(kind: str, text: str) -> int:
    number = int(text or "0")
    if kind == CLUSTER and number:
        raise ValueError("a Cluster has only database 0")
    return number


def _address(text: str, port: int) -> Address:
    """Return the address in ``host``, ``host:port`` or ``[v6]:port``."""
    host, colon, digits = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, digits = text, str(port)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not 0 < int(digits) < 65536:
        raise ValueError("a host or a port is wrong")
    return Address(unquote(host), int(digits))
