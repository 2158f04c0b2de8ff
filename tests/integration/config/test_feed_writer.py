"""What the writing process of a node leaves in the store and on the disk, and the others do not."""

import json

from sidecar.config import files
from sidecar.config.documents import Documents

BACKEND = {"endpoints": ["http://a/v1"]}
DOCUMENTS = {"backends": {"a": BACKEND}, "routes": {"r": {"router": "a", "order": 1}}}


def backends(feed):
    return list(feed.cache.current.backends) if feed.cache.current else None


async def put(by_hand, kind, name, document):
    await by_hand.hset(f"pointsman:{kind}", name, json.dumps(document))


async def test_an_edit_by_hand_gets_one_version_whoever_watches(
    redis_url, seeded, by_hand, follow, until, tmp_path
):
    feeds = [
        follow(redis_url, state_dir=tmp_path / str(n), node=f"n{n}", writer=True) for n in range(5)
    ]
    await until(lambda: all(feed.cache.current for feed in feeds))

    await put(by_hand, "backends", "b", BACKEND)

    await until(lambda: {feed.cache.current.version for feed in feeds} == {2})
    newest, oldest = await seeded.history(10)
    assert (newest.version, newest.who) == (2, "redis")
    assert newest.what == "edited by hand: backends.b"
    assert oldest.version == 1


async def test_what_was_edited_while_nobody_watched_is_recorded_at_the_start(
    redis_url, seeded, by_hand, follow, until
):
    await put(by_hand, "backends", "b", BACKEND)
    feed = follow(redis_url, node="n", writer=True)

    await until(lambda: feed.cache.current and feed.cache.current.version == 2)
    assert (await seeded.history(1))[0].what == "edited by hand"


async def test_an_edit_that_cannot_be_recorded_is_live_all_the_same(
    redis_url, seeded, by_hand, follow, until
):
    await by_hand.set("pointsman:history", "no stream")
    feed = follow(redis_url, node="n", writer=True)
    for name in ("b", "c"):
        await put(by_hand, "backends", name, BACKEND)
        await until(lambda: name in (backends(feed) or ()))  # noqa: B023

    assert feed.store_up
    assert (await seeded.stamp()).version == 1


async def test_readers_record_nothing(redis_url, seeded, by_hand, follow, until, tmp_path):
    feed = follow(redis_url, state_dir=tmp_path / "state")
    await put(by_hand, "backends", "b", BACKEND)
    await until(lambda: backends(feed) == ["a", "b"])

    assert (await seeded.stamp()).version == 1
    assert not (tmp_path / "state").exists()
    assert not await by_hand.keys("pointsman:status:*")


async def test_an_applied_change_brings_its_own_version(redis_url, seeded, follow, until):
    feed = follow(redis_url, node="n", writer=True)
    documents = DOCUMENTS | {"backends": {"a": BACKEND, "b": BACKEND}}
    await until(lambda: feed.cache.current)

    await seeded.apply(Documents.of(documents), based_on=1, who="me", what="more")

    await until(lambda: backends(feed) == ["a", "b"])
    assert feed.cache.current.version == 2
    assert [entry.who for entry in await seeded.history(10)] == ["me", "me"]


async def test_the_writer_keeps_the_last_good_and_says_what_is_wrong(
    redis_url, seeded, by_hand, follow, statuses, tmp_path
):
    follow(redis_url, state_dir=tmp_path, node="n", writer=True)
    await statuses(redis_url, "n")
    assert files.load_last_good(tmp_path).documents == Documents.of(DOCUMENTS)

    await put(by_hand, "routes", "typo", {"routr": "a"})
    status = await statuses(redis_url, "n", lambda status: status.get("rejection"))
    assert status["rejection"]["faults"][0]["path"] == "routes.typo.routr"
    assert (status["version"], status["source"], status["store_up"]) == (1, "redis", True)
    assert files.load_last_good(tmp_path).documents == Documents.of(DOCUMENTS)


async def test_an_edit_by_hand_that_mixes_the_data_of_an_experiment_is_live_and_told(
    redis_url, seeded, by_hand, follow, until
):
    arms = [{"name": "one", "router": "a", "share": 10}]
    feed = follow(redis_url, node="n", writer=True)
    await put(by_hand, "experiments", "e", {"arms": arms, "state": "running"})
    await until(lambda: feed.cache.current and "e" in feed.cache.current.experiments)
    assert not feed.report().get("mixed_experiments")

    await put(by_hand, "experiments", "e", {"arms": arms, "state": "running", "key": "session"})

    await until(lambda: feed.cache.current.experiments["e"].key == "session")
    (told,) = feed.report()["mixed_experiments"]
    assert told.startswith("experiments.e.key: has begun; raise version to 2")
