"""A process follows the store: edits, wrong documents, flushes, losses and bursts."""

import asyncio
import json
from time import monotonic

from sidecar.config import tracking
from sidecar.config.documents import KINDS, Digester, Documents
from sidecar.config.redis_store import RedisStore

BACKEND = {"endpoints": ["http://a/v1"]}
DOCUMENTS = {"backends": {"a": BACKEND}, "routes": {"r": {"router": "a", "order": 1}}}


def backends(feed):
    return list(feed.cache.current.backends) if feed.cache.current else None


async def put(by_hand, kind, name, document):
    await by_hand.hset(f"pointsman:{kind}", name, json.dumps(document))


async def test_a_plain_hset_is_live_within_100_ms(redis_url, seeded, by_hand, follow, until):
    feed = follow(redis_url)
    await until(lambda: backends(feed) == ["a"])
    assert (feed.source, feed.store_up, feed.cache.current.version) == ("redis", True, 1)

    took = []
    for number in range(5):
        started = monotonic()
        await put(by_hand, "backends", f"b{number}", BACKEND)
        await until(lambda: f"b{number}" in backends(feed))  # noqa: B023
        took.append(monotonic() - started)

    assert min(took) < 0.1  # the others may have met somebody else's work on this machine
    assert feed.age < 10


async def test_hdel_is_live_too(redis_url, seeded, by_hand, follow, until):
    feed = follow(redis_url)
    await put(by_hand, "backends", "b", BACKEND)
    await until(lambda: backends(feed) == ["a", "b"])

    await by_hand.hdel("pointsman:backends", "b")

    await until(lambda: backends(feed) == ["a"])


async def loads(by_hand):
    """How often hashes were read: each kind once for each load."""
    return int((await by_hand.info("commandstats"))["cmdstat_hgetall"]["calls"])


async def test_an_edit_is_read_once_and_other_keys_are_not_watched(
    redis_url, seeded, by_hand, follow, until
):
    feed = follow(redis_url, node="n", writer=True)
    await until(lambda: feed.cache.current)
    before = await loads(by_hand)
    for key in ("pointsman:status:x", "pointsman:stats:x", "other:routes", "routes"):
        await by_hand.set(key, "x")
    await put(by_hand, "backends", "b", BACKEND)
    await until(lambda: feed.cache.current.version == 2)

    assert backends(feed) == ["a", "b"]
    assert await loads(by_hand) == before + len(KINDS)


async def test_a_wrong_document_keeps_the_last_good_and_the_right_one_recovers(
    redis_url, seeded, by_hand, follow, until
):
    feed = follow(redis_url)
    await until(lambda: feed.cache.current)
    live = feed.cache.current

    await put(by_hand, "routes", "typo", {"match": {"modell": "x"}, "router": "a"})
    await until(lambda: feed.cache.rejection)
    assert feed.cache.current is live
    assert [fault.path for fault in feed.cache.rejection.faults] == ["routes.typo.match.modell"]

    await put(by_hand, "routes", "typo", {"match": {"model": "x"}, "router": "a"})
    await until(lambda: feed.cache.rejection is None)
    assert feed.cache.current.digest != live.digest


async def test_a_flushed_store_is_a_rejection_and_what_comes_after_is_live(
    redis_url, seeded, by_hand, follow, until
):
    feed = follow(redis_url)
    await until(lambda: feed.cache.current)

    await by_hand.flushall()
    await until(lambda: feed.cache.rejection)
    assert feed.cache.rejection.code == "store_empty"
    assert backends(feed) == ["a"]

    await put(by_hand, "backends", "b", BACKEND)
    await until(lambda: backends(feed) == ["b"])


async def test_a_thousand_edits_end_in_the_last_one_with_few_reloads(
    redis_url, seeded, by_hand, follow, until
):
    feed = follow(redis_url, node="n", writer=True)
    await until(lambda: feed.cache.current)
    last = Documents.of(DOCUMENTS | {"routes": {"r": {"router": "a", "order": 1000}}})
    started = monotonic()
    for number in range(1, 1001):
        await put(by_hand, "routes", "r", {"router": "a", "order": number})
    took = monotonic() - started

    await until(lambda: feed.cache.current.digest == Digester()(last))
    assert feed.cache.accepted <= 3 + took / 0.02
    assert len(await seeded.history(1000)) <= 3 + took


async def test_killed_and_started_again_edits_follow(redis_server, follow, until):
    store = RedisStore(redis_server.url)
    await store.apply(Documents.of(DOCUMENTS), based_on=None, who="me", what="first")
    feed = follow(redis_server.url)
    await until(lambda: feed.cache.current)

    redis_server.stop()
    await until(lambda: feed.store_up is False)
    assert backends(feed) == ["a"]

    redis_server.start()
    await until(lambda: feed.store_up)
    assert feed.cache.rejection.code == "store_empty"
    documents = DOCUMENTS | {"backends": {"a": BACKEND, "b": BACKEND}}
    await store.apply(Documents.of(documents), based_on=None, who="me", what="again")
    await until(lambda: backends(feed) == ["a", "b"])
    await store.close()


async def test_a_connection_that_falls_silent_is_noticed(
    redis_url, seeded, follow, until, monkeypatch, deaf_proxy
):
    monkeypatch.setattr(tracking, "IDLE_SECONDS", 0.05)
    feed = follow(deaf_proxy.url)
    await until(lambda: feed.cache.current)
    await asyncio.sleep(0.2)
    assert feed.store_up

    deaf_proxy.deaf = True
    await until(lambda: feed.store_up is False)
