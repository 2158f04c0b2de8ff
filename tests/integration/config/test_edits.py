"""The editor on a real Redis, as two nodes and a command line use it at the same time."""

import asyncio

import pytest

from sidecar.config.documents import Documents
from sidecar.config.edits import Editor
from sidecar.config.experiment_edits import hold
from sidecar.config.redis_store import RedisStore
from sidecar.errors import ConfigError, StoreConflict, UnknownDocument
from sidecar.model import Policy

GOOD = Documents.of(
    {
        "backends": {"a": {"endpoints": ["http://127.0.0.1:1"]}},
        "routes": {"all": {"router": "a"}},
    }
)
ROUTE = b'{"router": "a"}'


@pytest.fixture
async def editors(redis_url):
    """Two editors, each with a connection of its own."""
    stores = [RedisStore(redis_url), RedisStore(redis_url)]
    made = [Editor(store, Policy()) for store in stores]
    await made[0].replace(GOOD, who="ann")
    yield made
    for editor, store in zip(made, stores, strict=True):
        editor.close()
        await store.close()


@pytest.fixture
def editor(editors):
    return editors[0]


async def test_writers_of_two_nodes_lose_nothing_of_each_other(editors):
    await asyncio.gather(
        *(
            editor.put("flags", f"{node}-{n}", b"{}", who="x", create=True)
            for node, editor in enumerate(editors)
            for n in range(10)
        )
    )

    assert len((await editors[0].listing("flags")).items) == 20
    assert (await editors[1].whole()).version == 21


async def test_of_two_nodes_that_write_one_document_one_wins(editors):
    etag = (await editors[0].document("routes", "all")).etag
    outcomes = await asyncio.gather(
        *(
            editor.put("routes", "all", b'{"router": "a", "order": %d}' % n, who="x", etag=etag)
            for n, editor in enumerate(editors)
        ),
        return_exceptions=True,
    )

    (lost,) = [one for one in outcomes if isinstance(one, StoreConflict)]
    (won,) = [one for one in outcomes if not isinstance(one, Exception)]
    assert won.version == 2
    assert lost.current == won.changes[0].after


async def test_of_two_nodes_that_replace_everything_one_wins(editors):
    etag = (await editors[0].whole()).etag
    new = [Documents(GOOD.backends, GOOD.routes, flags={name: b"{}"}) for name in "fg"]
    outcomes = await asyncio.gather(
        *(
            editor.replace(documents, who="x", etag=etag)
            for editor, documents in zip(editors, new, strict=True)
        ),
        return_exceptions=True,
    )

    assert [isinstance(one, StoreConflict) for one in outcomes].count(True) == 1
    assert len((await editors[0].listing("flags")).items) == 1


async def test_without_an_etag_whatever_is_there_is_replaced(editor):
    await editor.put("routes", "all", b'{"router": "a", "order": 1}', who="x")
    edited = await editor.put("routes", "all", ROUTE, who="x")

    assert (edited.version, edited.warnings) == (3, ())
    assert (await editor.document("routes", "all")).text == ROUTE
    assert edited.etag == (await editor.document("routes", "all")).etag


async def test_an_edit_of_many_nodes_at_once_gives_up_in_the_end(editor):
    store = editor._writer._store
    apply = store.apply

    async def always_late(*arguments, **options):
        await store._redis.incr(store.version_key)
        return await apply(*arguments, **options)

    store.apply = always_late

    with pytest.raises(StoreConflict, match="at the same time"):
        await editor.put("flags", "f", b"{}", who="x")
    assert (await editor.listing("flags")).items == []


async def test_experiments_are_switched_by_their_state(editor):
    arms = b'{"arms": [{"name": "x", "router": "a", "share": 50}], "state": "draft"}'
    await editor.put("experiments", "e", arms, who="x")

    on = await editor.switch("experiments", "e", True, who="x")
    assert on.changes[0].after["state"] == "running"
    off = await editor.switch("experiments", "e", False, who="x")
    assert off.changes[0].after["state"] == "paused"
    with pytest.raises(ConfigError, match="has no rollout"):
        await editor.edit_experiment("e", hold, who="x")


async def test_what_has_no_switch_is_told_what_has(editor):
    await editor.put("routers", "r", b'{"type": "fallback", "targets": ["a"]}', who="x")

    with pytest.raises(ConfigError, match="backends, routes, flags"):
        await editor.switch("routers", "r", True, who="x")


async def test_what_is_not_there_is_told_with_the_nearest_name(editor):
    for work in (
        editor.document("routes", "al"),
        editor.remove("routes", "al", who="x"),
        editor.switch("routes", "al", True, who="x"),
    ):
        with pytest.raises(UnknownDocument, match='did you mean "all"'):
            await work
    with pytest.raises(UnknownDocument, match="version 9"):
        await editor.rollback(9, who="x")


async def test_a_document_that_was_broken_before_is_in_the_history_as_its_text(editor):
    await editor._writer._store._redis.hset("pointsman:routes", "bad", b"{\xff")

    edited = await editor.put("flags", "f", b"{}", who="x")

    assert "routes.bad" in edited.warnings[0]
    _, documents = await editor.version(edited.version)
    assert documents.routes["bad"] == rb'"{\\xff"'


async def test_a_rule_test_that_fails_is_a_warning_of_a_rollback(editor):
    test = b'{"request": {}, "expect": {"strategy": "sticky"}}'
    failing = GOOD.overlaid(Documents(tests={"t": test}))
    with pytest.raises(ConfigError, match=r"tests\.t: expected strategy"):
        await editor.replace(failing, who="x")
    await editor.replace(failing, who="x", skip_tests=True)
    await editor.replace(GOOD, who="x")

    rolled = await editor.rollback(2, who="x")

    assert rolled.version == 4
    assert rolled.warnings[0].startswith("a rule test fails: tests.t")
