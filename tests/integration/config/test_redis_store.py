"""The documents in a real Redis: read and written at once, recorded once, with a history."""

import asyncio

import pytest

from sidecar.config import redis_store
from sidecar.config.documents import Digester, Documents
from sidecar.config.redis_store import RedisStore
from sidecar.errors import ConfigError, StoreConflict, StoreError, StoreUnreachable

ONE = Documents.of({"backends": {"a": {"endpoints": ["http://a"]}}, "flags": {"f": {}}})
TWO = Documents.of({"backends": {"b": {"endpoints": ["http://b"]}}, "budgets": {"f": {}}})


def digest(documents):
    return Digester()(documents)


async def test_an_empty_store_is_version_0_without_documents(store):
    assert await store.load() == (Documents(), 0, None)


async def test_what_is_applied_is_loaded_with_its_version_and_digest(store):
    assert await store.apply(ONE, based_on=0, who="me", what="first") == 1
    assert await store.load() == (ONE, 1, digest(ONE))

    assert await store.apply(TWO, based_on=1, who="me", what="second") == 2
    assert await store.load() == (TWO, 2, digest(TWO))


async def test_documents_are_plain_hashes_of_json(store, by_hand):
    await store.apply(ONE, based_on=None, who="me", what="first")

    assert await by_hand.hgetall("pointsman:backends") == {"a": '{"endpoints":["http://a"]}'}
    assert await by_hand.get("pointsman:version") == "1"


async def test_a_change_based_on_an_older_version_is_refused(store):
    await store.apply(ONE, based_on=0, who="me", what="first")

    with pytest.raises(StoreConflict, match="at version 1, not 0 any more"):
        await store.apply(TWO, based_on=0, who="you", what="late")
    assert await store.load() == (ONE, 1, digest(ONE))


async def test_an_edit_by_hand_is_not_overwritten_by_who_did_not_see_it(store, by_hand):
    await store.apply(ONE, based_on=None, who="me", what="first")
    seen = await store.load()
    await by_hand.hset("pointsman:flags", "g", "{}")

    with pytest.raises(StoreConflict, match="edited version 1 by hand"):
        await store.apply(TWO, based_on=seen, who="me", what="late")
    assert await store.apply(TWO, based_on=await store.load(), who="me", what="again") == 2


async def test_of_writers_at_the_same_time_one_wins_and_the_others_are_told(redis_url, store):
    stores = [RedisStore(redis_url) for _ in range(5)]
    writes = [one.apply(ONE, based_on=0, who=str(i), what="race") for i, one in enumerate(stores)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    for one in stores:
        await one.close()

    assert min(map(str, results)) == "1"
    assert [type(result) for result in results].count(StoreConflict) == 4
    assert len(await store.history(10)) == 1


async def test_broken_text_is_not_applied(store):
    with pytest.raises(ConfigError, match=r"routes\.r"):
        await store.apply(Documents(routes={"r": b"{"}), based_on=None, who="me", what="no")
    assert (await store.load()).version == 0


async def test_an_edit_by_hand_is_recorded_exactly_once_by_many_nodes(redis_url, store, by_hand):
    await store.apply(ONE, based_on=None, who="me", what="first")
    await by_hand.hset("pointsman:flags", "g", '{"enabled": false}')
    stores = [RedisStore(redis_url) for _ in range(5)]
    seen = [await one.load() for one in stores]
    new = digest(seen[0].documents)
    records = [
        one.record(stored, new, who="redis", what="edited")
        for one, stored in zip(stores, seen, strict=True)
    ]
    versions = await asyncio.gather(*records)
    for one in stores:
        await one.close()

    assert sorted(versions, key=str) == [2, None, None, None, None]
    assert await store.stamp() == (2, new)
    assert [entry.version for entry in await store.history(10)] == [2, 1]
    assert (await store.version_at(2)).flags == {"f": b"{}", "g": b'{"enabled":false}'}


async def test_what_is_recorded_already_is_not_recorded_again(store):
    await store.apply(ONE, based_on=None, who="me", what="first")

    assert await store.record(await store.load(), digest(ONE), who="redis", what="") is None
    assert (await store.stamp()).version == 1


async def test_documents_that_are_outdated_are_not_recorded(store, by_hand):
    await by_hand.hset("pointsman:flags", "f", "{}")
    outdated = await store.load()
    await store.apply(TWO, based_on=None, who="me", what="first")

    new = digest(outdated.documents)
    assert await store.record(outdated, new, who="redis", what="edited") is None
    assert await store.stamp() == (1, digest(TWO))


async def test_the_history_says_who_what_and_when_newest_first(store):
    await store.apply(ONE, based_on=None, who="me", what="first")
    await store.apply(TWO, based_on=None, who="you", what="second")

    newest, oldest = await store.history(5)
    assert (newest.version, newest.who, newest.what) == (2, "you", "second")
    assert (oldest.version, oldest.who, oldest.what) == (1, "me", "first")
    assert oldest.when <= newest.when
    assert newest.when.endswith("+00:00")
    assert [entry.version for entry in await store.history(1)] == [2]


async def test_every_version_of_the_history_can_be_read_again(store, monkeypatch):
    monkeypatch.setattr(redis_store, "_PAGE", 2)
    for number in range(5):
        documents = Documents.of({"flags": {f"f{number}": {}}})
        await store.apply(documents, based_on=number, who="me", what="")

    found = [await store.version_at(version) for version in range(7)]
    assert [one and list(one.flags) for one in found] == [
        None, ["f0"], ["f1"], ["f2"], ["f3"], ["f4"], None,
    ]  # fmt: skip


async def test_the_history_of_a_large_configuration_has_fewer_entries(store, monkeypatch):
    monkeypatch.setattr(redis_store, "HISTORY_BYTES", 20_000)
    for number in range(30):
        large = Documents.of({"flags": {"f": {"description": "x" * 5000 + str(number)}}})
        await store.apply(large, based_on=None, who="me", what="")

    assert [entry.version for entry in await store.history(100)] == [*range(30, 20, -1)]


async def test_prefixes_do_not_meet(redis_url, store):
    other = RedisStore(redis_url, "{other}:")
    await other.apply(ONE, based_on=0, who="me", what="")
    await other.close()

    assert (await store.load()).documents.empty


async def test_a_status_goes_away_when_its_node_does(store, by_hand):
    await store.write_status("node-1", {"version": 3}, ttl=5)

    assert await by_hand.get("pointsman:status:node-1") == '{"version":3}'
    assert 4000 < await by_hand.pttl("pointsman:status:node-1") <= 5000


async def test_a_unix_socket_will_do(shared_redis, redis_url):
    store = RedisStore(shared_redis.unix_url)
    await store.apply(ONE, based_on=0, who="me", what="")

    assert (await store.load()).documents == ONE
    await store.close()


@pytest.mark.parametrize("key", ["pointsman:version", "pointsman:routes"])
async def test_a_key_that_holds_something_else_is_an_error_of_the_store(store, by_hand, key):
    await by_hand.set(key, "what?")

    with pytest.raises(StoreError):
        await store.load()


async def test_a_redis_that_is_gone_is_unreachable(redis_server):
    store = RedisStore(redis_server.url)
    await store.load()
    redis_server.stop()

    for _ in range(2):
        with pytest.raises(StoreUnreachable, match=rf"redis://127\.0\.0\.1:{redis_server.port}"):
            await store.load()
    await store.close()


async def test_a_redis_that_came_back_is_read_without_ado(redis_server):
    store = RedisStore(redis_server.url)
    await store.apply(ONE, based_on=None, who="me", what="")
    redis_server.stop()
    redis_server.start()
    await asyncio.sleep(0.01)  # the loop has to see that the old connection ended

    assert (await store.load()).documents.empty
    await store.close()


@pytest.mark.parametrize(
    "url",
    ["", "hush@localhost", "http://a:hush@b", "sentinel://a:hush@b/m", "redis+other://a:hush@b"],
)
def test_a_wrong_scheme_is_told_with_the_legal_ones_and_no_secret(url):
    with pytest.raises(StoreError, match="redis://, rediss://, unix://") as raised:
        RedisStore(url)

    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:hush/2@a",
        "redis://a?db=hush",
        "redis://a?hush=1",
        "redis+sentinel://me:hush@a:26379",
        "redis+sentinel://me:hush@a:26379,b:port/main",
        "redis+sentinel://me:hush@a,/main",
        "redis+sentinel://me:hush@a/main/number",
        "redis+sentinel://me:hush@a/main?hush=1",
        "redis+cluster://me:hush@a:7000/1",
        "redis+cluster://me:hush@:7000",
        "rediss://a?ssl_cert_reqs=hush",
    ],
)
def test_another_fault_of_a_url_is_told_without_what_may_be_a_secret(url):
    with pytest.raises(StoreError, match="an option in the URL is wrong") as raised:
        RedisStore(url)

    assert "hush" not in str(raised.value)
