"""Workers that share a real Redis: what one remembers, the others know soon."""

import asyncio
import json
import os
import signal

import pytest

from sidecar.config import redis_client
from sidecar.memory import LiveMemory, listening, sharing
from sidecar.model import Count, SetPin, TakeTurn

PREFIX = "test[1]:"
SOON = 5.0


async def until(condition):
    """Wait for what others do in the background."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110 - what happens in another task tells nobody
            await asyncio.sleep(0.005)


class Clock:
    """A clock that tests move, for all workers."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def clients():
    """Return a function that connects as workers do, to a URL."""
    made = []

    def connect(url):
        made.append(redis_client.connect(url))
        return made[-1]

    yield connect
    for client in made:
        await client.aclose()


@pytest.fixture
async def client(clients, redis_url):
    return clients(redis_url)


@pytest.fixture
async def worker(clients, clock):
    """Return a function that starts a worker's memory, by default one that has heard of Redis."""
    running = []

    async def start(url, *, heard=True):
        memory = LiveMemory(clients(url), prefix=PREFIX, clock=clock)
        running.append(asyncio.create_task(memory.run()))
        if heard:
            await until(lambda: memory.up)
        return memory

    yield start
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def pin(memory, key, target="mini", seconds=60.0):
    memory.apply([SetPin(key, target, seconds)])


def count(memory, key, amount=1.0, seconds=3600.0):
    memory.apply([Count(key, amount, seconds)])


async def test_an_effect_is_remembered_at_once(redis_url, clients):
    memory = LiveMemory(clients(redis_url), prefix=PREFIX)

    memory.apply([TakeTurn("t"), SetPin("s", "mini", 60), Count("c", 2, 60), TakeTurn("t")])

    assert (memory.turn("t"), memory.pin("s"), memory.usage("c")) == (2, "mini", 2)


async def test_a_pin_of_one_worker_is_known_to_the_others(redis_url, worker, client):
    one, two = await worker(redis_url), await worker(redis_url)

    pin(one, "s")
    await until(lambda: two.pin("s") == "mini")
    pin(two, "s", "deep")
    await until(lambda: one.pin("s") == "deep")

    assert await client.get(f"{PREFIX}pin:s") == b"deep"
    assert 59_000 < await client.pttl(f"{PREFIX}pin:s") <= 60_000


async def test_of_two_first_pins_the_one_that_was_stored_first_holds_everywhere(
    redis_url, worker, client
):
    one, two = await worker(redis_url), await worker(redis_url)
    await client.set(f"{PREFIX}pin:s", "gemini", px=60_000)

    pin(one, "s", "mini")
    pin(two, "s", "deep")

    await until(lambda: {one.pin("s"), two.pin("s")} == {"gemini"})
    assert await client.get(f"{PREFIX}pin:s") == b"gemini"


async def test_workers_that_pin_at_the_same_moment_agree(redis_url, worker, client):
    workers = [await worker(redis_url) for _ in range(3)]

    for number, each in enumerate(workers):
        for session in range(200):
            pin(each, f"s{session}", f"target-{number}")
    for each in workers:
        await written(each)

    stored = [(await client.get(f"{PREFIX}pin:s{n}")).decode() for n in range(200)]
    await until(
        lambda: [[each.pin(f"s{n}") for n in range(200)] for each in workers] == [stored] * 3
    )


async def test_a_worker_that_starts_picks_up_the_pins(redis_url, worker, client):
    keys = [f"s{number}" for number in range(sharing.BATCH + 7)]
    for key in keys:
        await client.set(f"{PREFIX}pin:{key}", "deep", px=60_000)
    await client.set("test1:pin:other", "deep", px=60_000)
    await client.lpush(f"{PREFIX}pin:list", "not ours")

    memory = await worker(redis_url)

    assert {memory.pin(key) for key in keys} == {"deep"}
    assert (memory.pin("other"), memory.pin("list")) == (None, None)
    assert memory.pin("s1") == "deep"


async def written(memory):
    """Wait until nothing of ``memory`` waits to be written."""
    parts = (memory._pins, memory._counts)
    await until(lambda: not any(part.waiting or part._sent for part in parts))


async def test_a_pin_is_over_in_every_worker(redis_url, worker, clock):
    one, two = await worker(redis_url), await worker(redis_url)
    pin(one, "s")
    await until(lambda: two.pin("s") == "mini")

    clock.now += 60

    assert (one.pin("s"), two.pin("s")) == (None, None)


async def test_use_in_one_worker_prolongs_a_pin_in_all(redis_url, worker, client, clock):
    one, two = await worker(redis_url), await worker(redis_url)
    pin(one, "s")
    await until(lambda: two.pin("s") == "mini")
    await client.pexpire(f"{PREFIX}pin:s", 30_000)

    clock.now += 30
    pin(one, "s")
    await until(lambda: two._pins._known["s"].expires == clock.now + 60)

    clock.now += 50
    assert (one.pin("s"), two.pin("s")) == ("mini", "mini")
    assert await client.pttl(f"{PREFIX}pin:s") > 50_000


async def test_an_operator_moves_and_removes_a_pin_by_publishing_it(redis_url, worker, client):
    memory = await worker(redis_url)
    pin(memory, "s")
    await written(memory)

    await client.publish(f"{PREFIX}pins", '[["s", "deep", 60000]]')
    await until(lambda: memory.pin("s") == "deep")
    await client.publish(f"{PREFIX}pins", '[["s", "", 0]]')
    await until(lambda: memory.pin("s") is None)


@pytest.mark.parametrize(
    "noise", [b"\xff", b"{}", b"[1]", b'[["a"]]', b'[["a", "b", "c"]]', b"[" * 100_000, b""]
)
async def test_what_is_not_a_pin_on_the_channel_is_ignored(redis_url, worker, client, noise):
    memory = await worker(redis_url)

    await client.publish(f"{PREFIX}pins", noise)
    await client.publish(f"{PREFIX}pins", json.dumps([["s", "deep", 60_000]]))

    await until(lambda: memory.pin("s") == "deep")


async def test_keys_are_any_text(redis_url, worker):
    one, two = await worker(redis_url), await worker(redis_url)
    keys = ["Zoë", "a b\n", "\ud800", 'q"\\', "x" * 10_000, "*"]

    for key in keys:
        pin(one, key)
        count(one, key)
    await written(one)

    await until(lambda: all(two.pin(key) == "mini" for key in keys if key != "\ud800"))
    assert one.up


async def told(total, key, *memories, clock):
    """Wait until all know the total; a total has to be old to be asked for again."""

    def known():
        clock.now += sharing.INTERVAL
        return all(memory.usage(key) == total for memory in memories)

    await until(known)


async def test_counts_of_all_workers_add_up(redis_url, worker, client, clock):
    one, two = await worker(redis_url), await worker(redis_url)

    for _ in range(10):
        count(one, "k", 1)
        count(two, "k", 0.5)
    await told(15, "k", one, two, clock=clock)

    assert float(await client.get(f"{PREFIX}count:k")) == 15
    assert 3_590_000 < await client.pttl(f"{PREFIX}count:k") <= 3_600_000


async def test_a_count_that_is_read_only_is_found_in_the_background(redis_url, worker, client):
    await client.set(f"{PREFIX}count:k", "41.5", px=60_000)
    memory = await worker(redis_url)

    first = memory.usage("k")
    await until(lambda: memory.usage("k") == 41.5)

    assert first == 0
    assert await client.get(f"{PREFIX}count:k") == b"41.5"


async def test_reading_makes_no_key(redis_url, worker, client):
    memory = await worker(redis_url)

    memory.usage("k")
    await written(memory)

    assert await client.keys(f"{PREFIX.replace('[', '?')}*") == []


async def test_the_time_of_a_count_starts_with_its_first_amount(redis_url, worker, client):
    memory = await worker(redis_url)
    count(memory, "k")
    await written(memory)
    await client.pexpire(f"{PREFIX}count:k", 30_000)

    count(memory, "k")
    await written(memory)

    assert await client.pttl(f"{PREFIX}count:k") <= 30_000
    assert await client.get(f"{PREFIX}count:k") == b"2"


async def test_a_key_that_holds_what_is_not_ours_spoils_no_other(redis_url, worker, client):
    await client.lpush(f"{PREFIX}count:list", "x")
    await client.set(f"{PREFIX}count:text", "many")
    await client.lpush(f"{PREFIX}pin:list", "x")
    memory = await worker(redis_url)

    for key in ("list", "text", "good"):
        count(memory, key)
        memory.usage(key)
    pin(memory, "list")
    pin(memory, "good")
    await written(memory)

    assert await client.get(f"{PREFIX}count:good") == b"1"
    assert await client.get(f"{PREFIX}pin:good") == b"mini"


async def test_what_waits_at_the_end_is_written(redis_url, clients, client):
    memory = LiveMemory(clients(redis_url), prefix=PREFIX)
    pin(memory, "s")
    count(memory, "k", 2)

    assert await memory.flush()

    assert await client.get(f"{PREFIX}pin:s") == b"mini"
    assert await client.get(f"{PREFIX}count:k") == b"2"


@pytest.mark.parametrize("effect", [SetPin("k", "2", 60), Count("k", 2, 60)])
async def test_a_flush_that_is_cut_off_loses_nothing(redis_url, clients, client, effect):
    memory = LiveMemory(clients(redis_url), prefix=PREFIX)
    memory.apply([effect])
    begun = asyncio.create_task(memory.flush())
    await asyncio.sleep(0)
    begun.cancel()
    await asyncio.gather(begun, return_exceptions=True)

    assert await memory.flush()

    (key,) = await client.keys()
    assert await client.get(key) == b"2"


class TestRedisDown:
    async def test_workers_go_on_by_themselves_and_share_when_it_is_back(
        self, redis_server, worker, clock
    ):
        one, two = await worker(redis_server.url), await worker(redis_server.url)
        redis_server.stop()
        await until(lambda: not one.up and not two.up)

        pin(one, "s", "mini")
        count(one, "k", 2)
        count(two, "k", 3)
        assert (one.pin("s"), one.usage("k"), two.usage("k")) == ("mini", 2, 3)

        redis_server.start()
        await until(lambda: two.pin("s") == "mini")
        await told(5, "k", one, two, clock=clock)
        assert one.up
        assert two.up

    async def test_pins_that_were_missed_are_learnt_when_it_is_back(
        self, redis_server, worker, clients
    ):
        memory = await worker(redis_server.url)
        redis_server.stop()
        await until(lambda: not memory.up)
        redis_server.start()
        await clients(redis_server.url).set(f"{PREFIX}pin:s", "deep", px=60_000)

        await until(lambda: memory.pin("s") == "deep")

    async def test_down_at_the_start_is_no_error_either(self, redis_server, worker):
        redis_server.stop()
        memory = await worker(redis_server.url, heard=False)
        pin(memory, "s")

        redis_server.start()

        await until(lambda: memory.up)
        other = await worker(redis_server.url)
        await until(lambda: other.pin("s") == "mini")

    async def test_one_that_hangs_delays_nobody_and_is_found_again(
        self, redis_server, worker, monkeypatch
    ):
        monkeypatch.setattr(sharing, "ANSWER", 0.2)
        monkeypatch.setattr(listening, "ANSWER", 0.2)
        monkeypatch.setattr(listening, "IDLE", 0.2)
        memory = await worker(redis_server.url)
        os.kill(redis_server.process.pid, signal.SIGSTOP)
        try:
            pin(memory, "s")
            count(memory, "k", 2)
            assert (memory.pin("s"), memory.usage("k")) == ("mini", 2)
            await until(lambda: not memory.up)
        finally:
            os.kill(redis_server.process.pid, signal.SIGCONT)
        await until(lambda: memory.up and not memory._pins.waiting)

    async def test_a_subscription_that_fell_silent_is_noticed(
        self, redis_server, worker, monkeypatch
    ):
        monkeypatch.setattr(sharing, "ANSWER", 0.2)
        monkeypatch.setattr(listening, "ANSWER", 0.2)
        monkeypatch.setattr(listening, "IDLE", 0.2)
        memory = await worker(redis_server.url)
        os.kill(redis_server.process.pid, signal.SIGSTOP)
        try:
            await until(lambda: not memory.up)
        finally:
            os.kill(redis_server.process.pid, signal.SIGCONT)
        await until(lambda: memory.up)

    async def test_a_redis_that_lost_everything_is_told_again_when_pins_are_prolonged(
        self, redis_url, worker, client, clock
    ):
        one = await worker(redis_url)
        pin(one, "s")
        await written(one)
        await client.flushall()

        clock.now += 15
        pin(one, "s")
        await written(one)

        assert await client.get(f"{PREFIX}pin:s") == b"mini"

    async def test_a_silent_redis_that_answers_is_not_left(self, redis_url, worker, monkeypatch):
        monkeypatch.setattr(listening, "IDLE", 0.02)
        memory = await worker(redis_url)
        memory._sharing._listening._learn_all = None  # what a second subscription would call

        await asyncio.sleep(10 * listening.IDLE)

        assert memory.up

    async def test_too_much_for_a_redis_that_is_away_is_dropped_and_counted(
        self, redis_server, worker
    ):
        memory = await worker(redis_server.url)
        redis_server.stop()
        await until(lambda: not memory.up)
        memory._pins._most_writes = 3

        for number in range(5):
            pin(memory, f"s{number}")

        assert memory.dropped == 2
        assert memory.pin("s4") == "mini"
