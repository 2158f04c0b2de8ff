"""How Redis is reached: URL, time limits, and its errors told as ours."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as NoAnswer
from redis.maint_notifications import MaintNotificationsConfig

from sidecar.config.following import Following, FollowingTls
from sidecar.config.masters import Masters, SentinelMasters, SlotMasters
from sidecar.config.redis_url import SENTINEL, ManyNodes, parse
from sidecar.errors import SettingsError, StoreError, StoreUnreachable

ONE_NODE = ("redis", "rediss", "unix")
MANY_NODES = ("redis+sentinel", "redis+cluster", "rediss+sentinel", "rediss+cluster")

_WRONG = (
    "the port or an option in the URL is wrong",
    (
        "a host, the master's name, the database or an option in the URL is wrong; legal are "
        "redis+sentinel://host:port,host:port/master-name/0 and redis+cluster://host:port,host:port"
    ),
)

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
_TAGGED = re.compile(r"\{[^{}]+\}")
"""A prefix that keeps all keys in one slot."""


def connect(url: str, prefix: str = "pointsman:") -> Redis:
    """Return a client for ``url``; it connects on first use, to the master where there are more.

    ``prefix``: of all keys that are used; in a Cluster it decides which node that is.
    Raises StoreError when the URL is wrong, naming the legal schemes; SettingsError when the
    prefix does not do for a Cluster.
    """
    scheme = url.partition("://")[0]
    if scheme not in (*ONE_NODE, *MANY_NODES):
        legal = ", ".join(f"{name}://" for name in (*ONE_NODE, *MANY_NODES))
        raise StoreError(f"{place(url)} is not the URL of a Redis; legal: {legal}")
    try:
        pool = _pool_of_one(url) if scheme in ONE_NODE else _pool_of_many(url, prefix)
        # An option that redis-py does not know would otherwise be found at the first connection.
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, RedisError):
        # What redis-py says quotes a piece of the URL, and that may be of the password.
        raise StoreError(f"{place(url)}: {_WRONG[scheme in MANY_NODES]}") from None
    return Redis.from_pool(pool)


def _options() -> dict[str, Any]:
    return {
        "protocol": 3,
        "client_name": "pointsman",
        # redis-py's version means nothing to Redis before 7.2, and needs a right more.
        "driver_info": None,
        "socket_connect_timeout": CONNECT_SECONDS,
        # Limits are set in ``answering``: redis-py's own use asyncio.wait_for, which before
        # Python 3.12 loses a cancellation now and then, and the process would never end.
        "socket_timeout": None,
        # The feed retries with a full reload; a silent retry here could repeat a write.
        "retry": Retry(NoBackoff(), 0),
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }


def _pool_of_one(url: str) -> ConnectionPool:
    return ConnectionPool.from_url(url, **_options())


def _pool_of_many(url: str, prefix: str) -> ConnectionPool:
    known = parse(url)
    kind = FollowingTls if known.tls else Following
    return ConnectionPool(
        connection_class=kind, masters=_masters(known, prefix), **_options() | known.options
    )


def _masters(known: ManyNodes, prefix: str) -> Masters:
    options = _options() | {"protocol": 2, "client_name": None}
    if known.kind == SENTINEL:
        options |= known.sentinel_options
        return SentinelMasters(known.nodes, known.name, options, tls=known.tls)
    if not _TAGGED.match(prefix):
        raise SettingsError(
            f"POINTSMAN_PREFIX={prefix!r} would spread keys over the nodes of a Redis Cluster; it "
            "must begin with a name in braces, such as {pointsman}:"
        )
    options |= {name: each for name, each in known.options.items() if name != "max_connections"}
    return SlotMasters(known.nodes, key_slot(prefix.encode()), options, tls=known.tls)


def place(url: str) -> str:
    """Return ``url`` without user, password and query, fit for logs."""
    scheme, slashes, rest = url.partition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2].partition('?')[0]}" if slashes else "…"


@asynccontextmanager
async def answering(where: str, seconds: float = ANSWER_SECONDS) -> AsyncIterator[None]:
    """Limit how long Redis may take; turn what redis-py raises into our errors.

    StoreUnreachable: no connection or no answer. StoreError: Redis refused, or a key holds what
    is not ours (``ValueError``), such as a version that is no number. ``RuntimeError`` is what
    uvloop raises on a transport that was closed a moment ago.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise StoreUnreachable(f"{where}: no answer within {seconds:g} s") from None
    except (NoConnection, NoAnswer, OSError, RuntimeError) as error:
        raise StoreUnreachable(f"{where}: {error}") from error
    except (RedisError, ValueError) as error:
        raise StoreError(f"{where}: {error}") from error
