import asyncio
import os
import signal
import time

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from sidecar.telemetry import shared_stats
from sidecar.telemetry.outcome import FailedAttempt, Outcome
from sidecar.telemetry.shared_stats import SharedStats
from sidecar.telemetry.windows import Sums, Windows

FAILED = FailedAttempt("small", "500", blamed=True)
KEY = "test:stats"


class Node:
    """A node with a clock that tests move."""

    def __init__(self, client, name):
        self.now, self.windows, self.busy = 1000.0, Windows(), {}
        self.stats = SharedStats(
            client,
            self.windows,
            prefix="test:",
            node=name,
            in_flight=lambda: self.busy,
            clock=lambda: self.now,
        )

    async def fail(self, count=1):
        for _ in range(count):
            self.windows.add_attempt(FAILED, self.now)
        await self.tick()

    async def tick(self):
        await self.stats.tick()

    def requests(self, window="total"):
        return self.stats.merged().get("small", {}).get(window, Sums()).requests


@pytest.fixture
async def client(redis_url):
    async with redis.asyncio.from_url(redis_url) as made:
        yield made


@pytest.fixture
async def node(client):
    """Return a function that starts a node: its first exchange is done."""

    async def start(name):
        made = Node(client, name)
        await made.tick()
        return made

    return start


async def shift(client, name, seconds):
    """Make the value of a node look ``seconds`` older."""
    value = (await client.hget(KEY, name)).decode()
    stamp = value.split(",")[0].removeprefix('{"updated":')
    await client.hset(KEY, name, value.replace(stamp, f"{float(stamp) - seconds:.6f}", 1))


async def test_each_node_sees_what_all_have_seen(node):
    one, two = await node("one"), await node("two")

    await one.fail(3)
    await two.fail(2)
    await one.tick()

    assert (one.requests(), two.requests()) == (5, 5)
    assert (one.requests("1m"), two.requests("1m")) == (5, 5)


async def test_what_was_seen_is_not_counted_twice(node):
    one, two = await node("one"), await node("two")
    for _ in range(3):
        await one.fail()
        await two.tick()

    assert two.requests() == 3


async def test_news_of_one_node_reach_another_in_less_than_a_second(client):
    nodes, seen = [Node(client, "one"), Node(client, "two")], asyncio.Event()
    waiting = [
        asyncio.create_task(nodes[0].stats.run(lambda _: None)),
        asyncio.create_task(
            nodes[1].stats.run(lambda totals: seen.set() if "small" in totals else None)
        ),
    ]
    await asyncio.sleep(shared_stats.INTERVAL)

    started = time.monotonic()
    nodes[0].windows.add(Outcome(backend="small", status=200), nodes[0].now)
    await asyncio.wait_for(seen.wait(), 5)

    assert time.monotonic() - started < 1
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_node_that_starts_again_goes_on_with_its_total(node):
    await (await node("one")).fail(3)

    again, two = await node("one"), await node("two")
    await again.fail()
    await two.tick()

    assert (again.requests(), again.requests("1m")) == (4, 1)
    assert (two.requests(), two.requests("1m")) == (4, 1)


async def test_nothing_is_sent_before_the_earlier_total_is_known(client, node):
    await (await node("one")).fail(3)
    again = Node(client, "one")
    again.windows.add_attempt(FAILED, again.now)

    await again.tick()
    await again.tick()

    assert (await node("two")).requests() == 4


@pytest.mark.parametrize(
    ("silent_for", "counting"),
    [
        (30, {"1m", "15m", "1h", "total"}),
        (61, {"15m", "1h", "total"}),
        (901, {"1h", "total"}),
        (3601, {"total"}),
    ],
)
async def test_a_silent_node_leaves_the_windows_that_it_is_silent_for(node, silent_for, counting):
    one, two = await node("one"), await node("two")
    await one.fail()
    await two.tick()

    two.now += silent_for

    windows = ("1m", "15m", "1h", "total")
    assert {window for window in windows if two.requests(window)} == counting


async def test_a_node_that_starts_later_counts_a_silent_one_in_the_same_way(client, node):
    await (await node("one")).fail()
    await shift(client, "one", 901)

    two = await node("two")

    assert (two.requests("15m"), two.requests("1h"), two.requests()) == (0, 1, 1)


async def test_a_day_later_whoever_comes_by_removes_a_node(client, node):
    one, two = await node("one"), await node("two")
    await one.fail()
    await two.fail()
    await shift(client, "one", 86_401)

    await node("three")

    assert await client.hkeys(KEY) == [b"two"]


async def test_requests_in_flight_are_those_of_all_nodes(node):
    one, two = await node("one"), await node("two")

    one.busy, two.busy = {"small": 3, "large": 1}, {"small": 2}
    await one.tick()
    await two.tick()
    await one.tick()

    assert one.stats.in_flight() == two.stats.in_flight() == {"small": 5, "large": 1}


async def test_a_change_in_flight_is_news_and_none_is_not(client, node):
    one, two = await node("one"), await node("two")
    one.busy = {"small": 3}
    await one.tick()
    first = await client.hget(KEY, "one")
    await one.tick()
    assert await client.hget(KEY, "one") == first

    one.busy = {"small": 0}
    await one.tick()
    await two.tick()

    assert two.stats.in_flight() == {"small": 0}


async def test_requests_in_flight_of_a_silent_node_are_soon_forgotten(node):
    one, two = await node("one"), await node("two")
    one.busy, two.busy = {"small": 3}, {"small": 1}
    await one.tick()
    await two.tick()

    two.now += shared_stats.IN_FLIGHT_SECONDS - 0.5
    assert two.stats.in_flight() == {"small": 4}
    two.now += 1
    assert two.stats.in_flight() == {"small": 1}


async def test_a_heartbeat_keeps_requests_in_flight_in_mind(node):
    one, two = await node("one"), await node("two")
    one.busy = {"small": 3}
    await one.tick()

    assert shared_stats.HEARTBEAT * 2 < shared_stats.IN_FLIGHT_SECONDS
    one.now += shared_stats.HEARTBEAT
    await one.tick()
    await two.tick()
    assert two.stats.in_flight() == {"small": 3}


async def test_a_node_that_starts_again_has_none_of_its_earlier_requests_in_flight(node):
    one = await node("one")
    one.busy = {"small": 3}
    await one.tick()

    again, two = await node("one"), await node("two")
    assert again.stats.in_flight() == {}
    again.now += shared_stats.HEARTBEAT
    await again.tick()
    await two.tick()
    assert two.stats.in_flight() == {}


async def test_clocks_of_nodes_need_not_agree(node):
    one, two = await node("one"), await node("two")
    one.now, two.now = 5.0, 5e9
    await one.fail()
    await two.fail()
    await one.tick()

    assert (one.requests("1m"), two.requests("1m")) == (2, 2)


async def test_values_that_are_not_ours_are_ignored_and_left(client, node):
    foreign = {
        b"w": b"\xffgarbage",
        b"x": b'{"updated":9999999999,"backends":5}',
        b"y": b'{"updated":9999999999,"backends":{"\xff":{}}}',
        b"z": b'{"updated":9999999999,"backends":{},"in_flight":{"small":-1}}',
        b"\xff": b'{"updated":9999999999,',
    }
    await client.hset(KEY, mapping=foreign)
    one = await node("one")
    await one.fail()

    assert one.stats.up
    assert one.requests() == 1
    assert one.stats.in_flight() == {}
    assert set(await client.hkeys(KEY)) == {b"one", *foreign}


async def test_a_node_without_news_sends_a_heartbeat_now_and_then(client, node):
    one = await node("one")
    await one.fail()
    first = await client.hget(KEY, "one")

    await one.tick()
    assert await client.hget(KEY, "one") == first
    one.now += shared_stats.HEARTBEAT
    await one.tick()
    assert await client.hget(KEY, "one") != first


async def test_after_a_flush_every_node_tells_its_whole_total_again(client, node):
    one = await node("one")
    await one.fail(3)
    await client.flushall()

    await one.fail()

    assert (await node("two")).requests() == 4


async def test_text_answers_are_as_good_as_bytes(redis_url):
    async with redis.asyncio.from_url(redis_url, decode_responses=True) as client:
        one, two = Node(client, "one"), Node(client, "two")
        for each in (one, two):
            await each.tick()
            await each.fail()
        await one.tick()

        assert (one.requests(), two.requests()) == (2, 2)


class TestRedisDown:
    @pytest.fixture
    async def client(self, redis_server):
        retry = Retry(NoBackoff(), 0)
        async with redis.asyncio.from_url(redis_server.url, retry=retry) as made:
            yield made

    async def test_own_statistics_go_on_and_are_all_there_afterwards(
        self, client, redis_server, node
    ):
        one, two = await node("one"), await node("two")
        await one.fail()
        redis_server.stop()

        await one.fail(2)

        assert (one.stats.up, one.requests(), one.requests("1m")) == (False, 3, 3)
        redis_server.start()
        await one.fail()
        await two.tick()
        assert (one.stats.up, two.requests()) == (True, 4)

    async def test_down_at_the_start_is_no_error_either(self, client, redis_server):
        redis_server.stop()
        one = Node(client, "one")

        await one.fail()
        assert (one.stats.up, one.requests()) == (False, 1)

        redis_server.start()
        await one.tick()
        await one.tick()
        two = Node(client, "two")
        await two.tick()
        assert two.requests() == 1

    async def test_one_that_hangs_is_left_alone_after_half_a_second(
        self, client, redis_server, node
    ):
        one = await node("one")
        os.kill(redis_server.process.pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            await one.fail()
            assert time.monotonic() - started < 2 * shared_stats.TIMEOUT
            assert (one.stats.up, one.requests()) == (False, 1)
        finally:
            os.kill(redis_server.process.pid, signal.SIGCONT)
        await one.tick()
        assert one.stats.up
