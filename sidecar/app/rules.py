"""How a process of a node gets at the rules."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.config.feed import ConfigFeed
from sidecar.config.redis_store import RedisStore
from sidecar.config.snapshot_cache import SnapshotCache
from sidecar.model import Policy
from sidecar.settings import Settings


def open_feed(settings: Settings, *, writer: bool) -> tuple[ConfigFeed, SnapshotCache]:
    """Return the feed to run and the cache that it fills; the control process is the writer."""
    cache = SnapshotCache(policy_of(settings))
    feed = ConfigFeed(
        RedisStore(settings.store_url(), settings.prefix),
        cache,
        state_dir=settings.state_folder(),
        fallback=settings.fallback_config,
        node=settings.node,
        writer=writer,
    )
    return feed, cache


def policy_of(settings: Settings) -> Policy:
    """Return those settings that a decision depends on."""
    return Policy(
        inline_routers=settings.inline_routers == "allow",
        inline_scripts=settings.inline_scripts == "allow",
        unknown_model=settings.on_unknown_model,
        variant_pins=settings.variant_pins == "allow",
    )


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[RedisStore]:
    """Open the store of the settings for one task. Raises StoreError."""
    store = RedisStore(settings.store_url(), settings.prefix)
    try:
        yield store
    finally:
        await store.close()
