"""How Redis is reached: URL, time limits, and its errors told as ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as NoAnswer
from redis.maint_notifications import MaintNotificationsConfig

from sidecar.errors import StoreError, StoreUnreachable

SCHEMES = ("redis", "rediss", "unix")
LATER = ("redis+sentinel", "redis+cluster")

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0


def connect(url: str) -> Redis:
    """Return a client for ``url``; it connects on first use.

    Raises StoreError when the URL is wrong, naming the legal schemes.
    """
    scheme = url.partition("://")[0]
    legal = ", ".join(f"{name}://" for name in SCHEMES)
    if scheme in LATER:
        raise StoreError(f"{scheme}:// is not supported yet; legal: {legal}")
    if scheme not in SCHEMES:
        raise StoreError(f"{place(url)} is not the URL of a Redis; legal: {legal}")
    try:
        return Redis.from_url(
            url,
            protocol=3,
            client_name="pointsman",
            socket_connect_timeout=CONNECT_SECONDS,
            # Limits are set in ``answering``: redis-py's own use asyncio.wait_for, which before
            # Python 3.12 loses a cancellation now and then, and the process would never end.
            socket_timeout=None,
            # The feed retries with a full reload; a silent retry here could repeat a write.
            retry=Retry(NoBackoff(), 0),
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
    except (ValueError, TypeError):
        # What redis-py says quotes a piece of the URL, and that may be of the password.
        raise StoreError(f"{place(url)}: the port or an option in the URL is wrong") from None


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
