"""Names of documents for the shell's completion: quick, and silent when the store is away."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import typer

from sidecar.config.documents import NAME, Kind
from sidecar.settings import Settings

SECONDS = 0.3
"""Somebody waits with a finger on Tab."""
_MOST = 1000
_VERSIONS = 20

Completer = Callable[[typer.Context, str], list[str]]


def names_of(kind: Kind) -> Completer:
    """Return what completes the names of these documents."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        fields = _read(ctx, lambda redis, prefix: redis.hkeys(f"{prefix}{kind}"))
        names = (field.decode(errors="replace") for field in fields)
        # The shell pastes what it gets: nothing that is not a name goes there.
        fit = [name for name in names if name.startswith(incomplete) and NAME.match(name)]
        return sorted(fit)[:_MOST]

    return complete


def versions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the versions of the history, newest first."""
    entries = _read(ctx, lambda redis, prefix: redis.xrevrange(f"{prefix}history", count=_VERSIONS))
    found = (str(int(fields[b"version"])) for _, fields in entries)
    return [version for version in found if version.startswith(incomplete)]


def _read(ctx: typer.Context, ask: Callable[[Any, str], Awaitable[list[Any]]]) -> list[Any]:
    try:
        # Loading it takes longer than all the rest of a command that needs no Redis.
        from sidecar.config.redis_client import connect  # noqa: PLC0415

        settings = Settings.read(os.environ, redis_url=ctx.params.get("redis_url"))

        async def asked() -> list[Any]:
            async with (
                asyncio.timeout(SECONDS),
                connect(settings.store_url(), settings.prefix) as redis,
            ):
                return await ask(redis, settings.prefix)

        return asyncio.run(asked())
    except Exception:  # noqa: BLE001
        # A message would land in the middle of the line that somebody types.
        return []
