"""What a process serves when it starts, whatever it finds in the store and on the disk."""

import json

import pytest

from sidecar.config import files
from sidecar.config.documents import Digester, Documents
from sidecar.config.redis_store import RedisStore

BACKEND = {"endpoints": ["http://a/v1"]}
DOCUMENTS = {"backends": {"a": BACKEND}, "routes": {"r": {"router": "a", "order": 1}}}


def backends(feed):
    return list(feed.cache.current.backends) if feed.cache.current else None


async def test_down_at_the_start_the_last_good_serves_and_then_the_store(
    redis_server, tmp_path, follow, until
):
    documents = Documents.of(DOCUMENTS)
    files.save_last_good(tmp_path, documents, 7, Digester()(documents))
    redis_server.stop()
    feed = follow(redis_server.url, state_dir=tmp_path)
    await until(lambda: feed.cache.current)
    assert (feed.source, feed.cache.current.version, feed.store_up) == ("last_good", 7, False)

    redis_server.start()
    store = RedisStore(redis_server.url)
    await store.apply(documents, based_on=None, who="me", what="first")
    await until(lambda: feed.source == "redis")
    await store.close()
    assert (feed.cache.current.version, feed.cache.accepted) == (1, 1)


@pytest.mark.parametrize("kept", [None, "damaged", '{"backends": {}}'])
async def test_down_at_the_start_without_last_good_the_fallback_file_serves(
    redis_server, tmp_path, follow, until, statuses, kept
):
    fallback = tmp_path / "fallback.json"
    fallback.write_text(json.dumps(DOCUMENTS))
    if kept is not None:
        (tmp_path / files.LAST_GOOD).write_text(kept)
    redis_server.stop()
    feed = follow(redis_server.url, state_dir=tmp_path, fallback=fallback, writer=True, node="n")

    await until(lambda: feed.cache.current)
    assert (feed.source, feed.store_up) == ("fallback", False)
    redis_server.start()
    await statuses(redis_server.url, "n")
    assert not (tmp_path / files.LAST_GOOD).exists() or kept is not None


async def test_down_at_the_start_with_a_wrong_fallback_file_its_faults_are_shown(
    redis_server, tmp_path, follow, until
):
    fallback = tmp_path / "fallback.json"
    fallback.write_text('{"backends": {"a": {}}}')
    redis_server.stop()
    feed = follow(redis_server.url, state_dir=tmp_path, fallback=fallback)

    await until(lambda: feed.cache.rejection)
    assert feed.report()["rejection"]["faults"][0]["path"] == "backends.a.endpoints"


async def test_a_wrong_document_in_the_store_at_the_start_leaves_the_last_good(
    redis_url, seeded, by_hand, tmp_path, follow, until
):
    documents = Documents.of(DOCUMENTS)
    files.save_last_good(tmp_path, documents, 1, Digester()(documents))
    await by_hand.hset("pointsman:routes", "typo", json.dumps({"routr": "a"}))
    feed = follow(redis_url, state_dir=tmp_path)

    await until(lambda: feed.cache.rejection)
    assert (feed.source, backends(feed)) == ("last_good", ["a"])


async def test_an_empty_store_at_the_start_is_a_rejection_until_it_is_filled(
    redis_url, store, follow, until
):
    feed = follow(redis_url)
    await until(lambda: feed.cache.rejection)
    assert (backends(feed), feed.source, feed.store_up) == (None, None, True)

    await store.apply(Documents.of(DOCUMENTS), based_on=0, who="me", what="first")
    await until(lambda: backends(feed) == ["a"])
