"""Two nodes and a real Redis: what one sees fail is out on both."""

import pytest
import redis.asyncio

from sidecar.config.redis_client import connect
from sidecar.model import Backend, Ejection
from sidecar.telemetry.outcome import FailedAttempt, Outcome
from sidecar.telemetry.shared_ejection import SharedEjections
from tests.redis_server import running_redis

RULES = Ejection(consecutive_failures=25, min_requests=1000)
FAILED = FailedAttempt("small", "500", blamed=True)
ANSWERED = Outcome(backend="small", status=200, decision_id="1")


class Rules:
    def __init__(self, ejection=RULES):
        self.backends = {"small": Backend("small", "small", "demo", ejection=ejection)}


class Node:
    """A node whose clock tests move; Redis' own only tells the events' order here."""

    def __init__(self, url):
        self.changes, self.later = [], 0.0
        self.client = connect(url)
        self.health = SharedEjections(self.client, "test:", self.changes.append)
        self.health.use(Rules())

    async def fail(self, count=1):
        for _ in range(count):
            self.health.attempt(FAILED)
        await self.health.tick()

    async def answer(self):
        self.health.outcome(ANSWERED)
        await self.health.tick()

    async def tick(self):
        await self.health.tick()
        return self.health.out

    def forget_time(self, seconds):
        """See the cool-down end ``seconds`` earlier."""
        for state in self.health._ejector.states.values():
            state.until -= seconds


@pytest.fixture
async def nodes(redis_url):
    made = []

    async def start(url=redis_url):
        node = Node(url)
        made.append(node)
        await node.tick()
        return node

    yield start
    for node in made:
        await node.client.aclose()


async def test_failures_are_counted_over_nodes_and_both_agree(nodes):
    one, other = await nodes(), await nodes()
    await one.fail(12)
    await other.fail(12)
    assert await one.tick() == {}

    await one.fail()

    assert await other.tick() == await one.tick()
    (out,) = (await one.tick()).values()
    assert out.reason.endswith(": 25 consecutive failures")
    assert [each.what for each in one.changes] == [each.what for each in other.changes] == ["out"]


async def test_a_model_that_does_not_exist_puts_nobody_out(nodes):
    node = await nodes()
    for _ in range(50):
        node.health.attempt(FAILED._replace(code="404"))

    assert await node.tick() == {}


async def test_an_answer_anywhere_begins_anew(nodes):
    one, other = await nodes(), await nodes()
    await one.fail(24)
    await other.answer()
    await one.fail(24)

    assert await one.tick() == await other.tick() == {}


async def test_answers_of_a_backend_that_is_well_are_not_written(nodes, redis_url):
    one = await nodes()
    await one.answer()

    async with redis.asyncio.from_url(redis_url) as client:
        assert await client.exists("test:health:events") == 0
        await one.fail()
        await one.answer()
        assert await client.xlen("test:health:events") == 2


async def test_who_starts_later_knows_who_is_out_and_does_not_count_it(nodes):
    one = await nodes()
    await one.fail(25)

    late = await nodes()

    assert await late.tick() == await one.tick() != {}
    assert late.changes == []


async def test_the_stored_state_is_enough_when_the_events_are_gone(nodes, redis_url):
    one = await nodes()
    await one.fail(25)
    async with redis.asyncio.from_url(redis_url) as client:
        await client.delete("test:health:events")

    late = await nodes()

    assert await late.tick() == await one.tick() != {}


async def test_on_trial_one_answer_takes_it_in_everywhere(nodes):
    one, other = await nodes(), await nodes()
    await one.fail(25)
    await other.tick()
    for node in (one, other):
        node.forget_time(20)
        assert (await node.tick())["small"].trial

    await other.answer()

    assert await one.tick() == await other.tick() == {}
    assert [each.what for each in one.changes] == ["out", "back"]


async def test_without_redis_a_node_goes_by_what_it_sees_and_joins_again(nodes):
    with running_redis() as server:
        one, other = await nodes(server.url), await nodes(server.url)
        server.stop()
        await one.fail(25)
        assert "small" in one.health.out
        assert await other.tick() == {}
        assert not one.health.up

        server.start()
        await one.tick()
        await other.fail(25)
        assert "small" in other.health.out
        assert one.health.up


async def test_what_is_not_ours_is_left_alone(nodes, redis_url):
    async with redis.asyncio.from_url(redis_url) as client:
        await client.hset("test:health", mapping={"small": "?", b"\xff": b"\xff"})
        await client.xadd("test:health:events", {"e": b"\xff"})
        await client.xadd("test:health:events", {"other": "1"})

    one = await nodes()
    await one.fail(25)

    assert "small" in one.health.out


async def test_a_request_that_is_wrong_or_undecided_says_nothing_of_a_backend(nodes):
    one = await nodes()
    for attempt in (FAILED._replace(blamed=False), FAILED._replace(undecided=True)):
        for _ in range(30):
            one.health.attempt(attempt)

    assert await one.tick() == {}


async def test_switched_off_it_is_never_out(nodes):
    one = await nodes()
    await one.fail(25)

    one.health.use(Rules(ejection=None))
    await one.fail(30)

    assert one.health.out == {}
