"""The rollout controller on a real Redis: one node acts, and an operator's edit wins."""

import asyncio

import msgspec
import pytest
import redis as redis_sync

from sidecar.app.lease import Lease
from sidecar.app.rollout import WHO, Rollouts, write
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.config.experiment_edits import moving
from sidecar.config.redis_client import connect
from sidecar.config.redis_store import RedisStore
from sidecar.telemetry.experiments import hash_key

P = "pointsman:"
RULES = {
    "backends": {name: {"endpoints": [f"http://{name}/v1"]} for name in ("small", "canary")},
    "experiments": {
        "checkout": {
            "arms": [
                {"name": "control", "router": "small", "share": 80},
                {"name": "canary", "router": "canary", "share": 20},
            ],
            "state": "running",
            "rollout": {
                "steps": [20, 60, 100],
                "guards": [{"metric": "error_rate", "max_increase": 0.05}],
                "min_exposures": 100,
            },
        }
    },
    "routes": {"all": {"router": {"type": "experiment", "experiment": "checkout"}}},
}


class Node:
    """A controller with rules that follow the store when told to."""

    def __init__(self, url, name):
        self.store = RedisStore(url)
        self.redis = connect(url)
        self.rules = None
        self.rollouts = Rollouts(
            self.store, self.redis, prefix=P, node=name, snapshot=lambda: self.rules
        )

    async def refresh(self):
        stored = await self.store.load()
        self.rules = compile_snapshot(stored.documents, version=stored.version)
        return self

    async def turn(self):
        await self.refresh()
        await self.rollouts.turn()

    async def shares(self):
        document = await self.document()
        return [arm["share"] for arm in document["arms"]]

    async def document(self):
        return msgspec.json.decode((await self.store.load()).documents.experiments["checkout"])

    async def count(self, arm, n, errors=0, version=1):
        """Add requests to the sums, as nodes do."""
        key = hash_key(P, "checkout", version)
        for what in ("assigned|n", "metric:error_rate|n", "served:error_rate|n"):
            await self.redis.hincrbyfloat(key, f"{arm}|{what}", n)
        for what in ("metric", "served"):
            for power in ("total", "squares", "cubes"):
                field = f"{arm}|{what}:error_rate|{power}"
                await self.redis.hincrbyfloat(key, field, errors)


@pytest.fixture
async def node(redis_url):
    """Make nodes on one Redis that holds the rules."""
    made = []

    async def make(name="one"):
        made.append(Node(redis_url, name))
        return await made[-1].refresh()

    store = RedisStore(redis_url)
    await store.apply(Documents.of(RULES), based_on=None, who="me", what="first")
    await store.close()
    yield make
    for each in made:
        await each.store.close()
        await each.redis.aclose()


async def test_a_failing_candidate_loses_its_share_with_the_evidence_in_the_history(node):
    one = await node()
    await one.count("control", 400, errors=1)
    await one.count("canary", 100, errors=60)

    await one.turn()

    assert await one.shares() == [100, 0]
    (change,) = await one.store.history(1)
    assert (change.who, change.version) == (WHO, 2)
    assert change.what.startswith("checkout: rolled back from 20 %: error_rate 0.6 [")
    assert change.evidence["step"]["action"] == "roll_back"
    assert change.evidence["arms"]["control"]["error_rate"]["n"] == 400
    assert one.rollouts.rollbacks == {"checkout": 1}


async def test_after_a_rollback_nothing_moves_by_itself(node):
    one = await node()
    await one.count("control", 400)
    await one.count("canary", 100, errors=60)
    await one.turn()
    await one.count("control", 9000)

    await one.turn()
    await one.turn()

    assert await one.shares() == [100, 0]
    assert one.rollouts.rollbacks == {"checkout": 1}
    assert one.rollouts.watched["checkout"].step is None


async def test_a_healthy_candidate_gets_the_next_step(node):
    one = await node()
    await one.count("control", 2000)
    await one.count("canary", 500)

    await one.turn()

    assert await one.shares() == [40, 60]
    (change,) = await one.store.history(1)
    assert change.what == "checkout: promoted from 20 % to 60 %: all guards are safe"


async def test_the_next_step_has_to_earn_its_own_exposures(node):
    one = await node()
    await one.count("control", 2000)
    await one.count("canary", 500)
    await one.turn()

    await one.turn()

    assert await one.shares() == [40, 60]
    assert one.rollouts.watched["checkout"].step.reason == "0 of 100 exposures"


async def test_without_traffic_nothing_is_written(node):
    one = await node()

    await one.turn()
    await one.turn()

    assert (await one.store.stamp()).version == 1


async def test_only_the_node_with_the_lease_acts(node):
    one, two = await node("one"), await node("two")
    await one.turn()
    await one.count("control", 400)
    await one.count("canary", 100, errors=60)

    await two.turn()
    assert await two.shares() == [80, 20]
    assert (one.rollouts.lease.held, two.rollouts.lease.held) == (True, False)
    assert two.rollouts.watched == {}

    await one.turn()
    assert await one.shares() == [100, 0]


async def test_another_node_goes_on_with_the_record_of_the_first(node):
    one, two = await node("one"), await node("two")
    await one.count("control", 2000)
    await one.count("canary", 500)
    await one.turn()
    await one.turn()
    await one.rollouts.lease.release()
    await one.count("canary", 90)

    await two.turn()

    watched = two.rollouts.watched["checkout"]
    assert watched.step.evidence.share == 60
    assert not one.rollouts.lease.held


async def test_what_was_judged_under_earlier_shares_is_not_carried_out(node):
    one = await node()
    await one.count("control", 2000)
    await one.count("canary", 500)
    await write(one.store, "checkout", moving(30), who="operator")

    await one.rollouts.turn()  # by the rules of before

    assert await one.shares() == [70, 30]
    (change,) = await one.store.history(1)
    assert change.who == "operator"


@pytest.mark.parametrize(
    "fields",
    [{"state": "paused"}, {"version": 2}, {"rollout": {"steps": [20], "automatic": False}}],
)
async def test_an_operators_edit_in_between_wins(node, fields):
    one = await node()
    await one.count("control", 2000)
    await one.count("canary", 500)
    document = await one.document() | fields
    await one.redis.hset(f"{P}experiments", "checkout", msgspec.json.encode(document))

    await one.rollouts.turn()

    assert await one.document() == document


async def test_an_edit_at_the_very_moment_of_a_write_is_kept(node, redis_url):
    one = await node()
    writes = []

    def by_hand(_documents):
        """Write after the controller has read, and before it writes."""
        if len(writes) < 2:
            with redis_sync.Redis.from_url(redis_url) as client:
                client.hset(f"{P}flags", f"flag-{len(writes)}", '{"enabled": true}')
        writes.append(1)

    await write(one.store, "checkout", moving(60), who=WHO, check=by_hand)

    assert len(writes) == 3
    assert await one.shares() == [40, 60]
    assert sorted((await one.store.load()).documents.flags) == ["flag-0", "flag-1"]


async def test_a_rollback_is_written_while_another_document_is_wrong(node):
    """It is live as soon as that one is mended."""
    one = await node()
    await one.redis.hset(f"{P}routes", "broken", '{"router": "nobody"}')
    await one.count("control", 400)
    await one.count("canary", 100, errors=60)

    await one.rollouts.turn()

    assert await one.shares() == [100, 0]
    assert b"broken" in await one.redis.hkeys(f"{P}routes")


async def test_a_spoiled_record_and_spoiled_sums_do_no_harm(node):
    one = await node()
    await one.redis.set(f"{P}rollout:checkout:1", "{")
    await one.redis.hset(hash_key(P, "checkout", 1), "canary|assigned|n", "many")
    await one.count("control", 400)
    await one.turn()

    assert one.rollouts.watched["checkout"].step.action == "hold"


async def test_without_redis_the_controller_waits_and_loses_its_lease(redis_server):
    node = Node(redis_server.url, "one")
    await node.store.apply(Documents.of(RULES), based_on=None, who="me", what="first")
    await node.turn()
    redis_server.stop()

    await node.rollouts.turn()

    assert (await node.rollouts._quietly(node.rollouts._held())) is None
    await node.store.close()
    await node.redis.aclose()


class TestLease:
    async def test_of_two_one_has_it_until_it_is_over(self, redis_url):
        now = [0.0]
        async with connect(redis_url) as redis:
            one = Lease(redis, "lease", "one", seconds=0.2, clock=lambda: now[0])
            two = Lease(redis, "lease", "two", seconds=0.2)

            assert await one.hold() is not None
            assert await two.hold() is None
            now[0] = 0.3
            assert not one.held
            await asyncio.sleep(0.25)
            assert await two.hold() is not None
            assert await one.hold() is None

    async def test_its_number_rises_with_each_holder(self, redis_url):
        async with connect(redis_url) as redis:
            one, two = Lease(redis, "lease", "one"), Lease(redis, "lease", "two")
            await one.hold()
            first = await redis.get("lease")
            await one.hold()
            await one.release()
            await two.hold()

            assert (first, await redis.get("lease")) == (b"one 1", b"two 2")

    async def test_who_lost_it_writes_no_more(self, redis_url):
        async with connect(redis_url) as redis:
            one, two = Lease(redis, "lease", "one"), Lease(redis, "lease", "two")
            await one.hold()
            assert await one.write("record", b"mine", 60)
            await redis.delete("lease")
            await two.hold()

            assert not await one.write("record", b"late", 60)
            assert await redis.get("record") == b"mine"

    async def test_releasing_what_another_has_leaves_it(self, redis_url):
        async with connect(redis_url) as redis:
            one, two = Lease(redis, "lease", "one"), Lease(redis, "lease", "two")
            await one.hold()
            await redis.delete("lease")
            await two.hold()
            await one.release()

            assert await redis.get("lease") == b"two 2"
