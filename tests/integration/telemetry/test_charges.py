"""Charges over a real Redis: each added once, published, and heard by every worker."""

import asyncio
import time

import pytest

from sidecar.config.redis_client import connect
from sidecar.memory import LiveMemory
from sidecar.model import Backend, Charge, Count, Price
from sidecar.telemetry.charges import Charges
from sidecar.telemetry.outbox import Outbox
from sidecar.telemetry.outcome import Outcome
from sidecar.telemetry.usage import Usage

PRICE = Price(per_input_token=2.0, per_output_token=3.0, per_cached_input_token=0.5)
BACKEND = Backend("large", "large", "demo", price=PRICE)
END = int(time.time()) + 600
TOKENS, USD = "budget:t:tokens:day:global:1:all", "budget:u:usd:day:global:1:all"
NAMED = "budget:b:usd:day:backend:1:"


def outcome(*charges, **usage):
    usage = {"input": 10, "output": 5, "cached": 4, **usage}
    return Outcome(charges=charges, backend="large", status=200, tokens=Usage(**usage))


@pytest.fixture
async def redis(redis_url):
    client = connect(redis_url)
    await client.flushall()
    yield client
    await client.aclose()


async def total(redis, key):
    return float(await redis.get(f"p:count:{key}") or 0)


async def until(holds, what):
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - it happens in Redis
            await asyncio.sleep(0.01)
    assert holds(), what


async def test_tokens_and_dollars_are_added_with_a_life_beyond_their_period(redis):
    charges = Charges("p:")
    charges.add(outcome(Charge(TOKENS, "tokens", END), Charge(USD, "usd", END)), BACKEND)
    charges.add(outcome(Charge(TOKENS, "tokens", END)), BACKEND)
    await Outbox(redis, "one", [charges]).flush()

    assert await total(redis, TOKENS) == 30
    assert await total(redis, USD) == 6 * 2.0 + 4 * 0.5 + 5 * 3.0, "cached input at its price"
    assert 600 < await redis.ttl(f"p:count:{USD}") <= 600 + 3600
    assert charges.waiting() == {}


async def test_a_backends_charge_goes_to_the_one_that_answered(redis):
    charges = Charges("p:")
    charges.add(
        outcome(Charge(NAMED, "usd", END), Charge(NAMED + "x:", "usd", END, "small")), BACKEND
    )
    await Outbox(redis, "one", [charges]).flush()

    assert await total(redis, NAMED + "large") == 29
    assert [key async for key in redis.scan_iter("p:count:*")] == [f"p:count:{NAMED}large".encode()]


async def test_what_is_not_known_is_charged_nothing(redis):
    charges = Charges("p:")
    charges.add(outcome(Charge(USD, "usd", END), input=None, output=None, cached=None), BACKEND)
    charges.add(outcome(Charge(USD, "usd", END)), None)
    await Outbox(redis, "one", [charges]).flush()

    assert await redis.exists(f"p:count:{USD}") == 0


class LosesAnswers:
    """Sends everything, and loses the answers of the first batch."""

    def __init__(self, redis):
        self._redis, self.lost = redis, False

    def pipeline(self, transaction=True):
        pipe = self._redis.pipeline(transaction=transaction)
        execute = pipe.execute

        async def lossy(**arguments):
            answers = await execute(**arguments)
            if not self.lost:
                self.lost = True
                raise ConnectionError("lost")
            return answers

        pipe.execute = lossy
        return pipe


async def test_a_batch_that_is_sent_twice_is_added_once(redis):
    charges = Charges("p:")
    outbox = Outbox(LosesAnswers(redis), "one", [charges])
    charges.add(outcome(Charge(TOKENS, "tokens", END)), BACKEND)

    await outbox.flush()
    assert charges.waiting() == {TOKENS: 15}, "as far as is known"
    await outbox.flush()

    assert await total(redis, TOKENS) == 15
    assert charges.waiting() == {}


@pytest.fixture
async def workers(redis_url, redis):
    """Start memories that share, as workers of two nodes do."""
    started = []

    async def start(count):
        memories = []
        for _ in range(count):
            client = connect(redis_url)
            memory = LiveMemory(client, prefix="p:")
            started.append((client, memory, asyncio.create_task(memory.run())))
            assert await memory.learnt(5)
            memories.append(memory)
        return memories

    yield start
    for client, _, task in started:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.aclose()


async def test_every_worker_hears_of_charges_and_counts_without_asking(redis, workers):
    one, other = await workers(2)
    charges = Charges("p:")
    charges.add(outcome(Charge(TOKENS, "tokens", END)), BACKEND)
    await Outbox(redis, "one", [charges]).flush()
    one.apply([Count("budget:r:requests:day:global:1:all", 2, 60)])

    await until(lambda: len(other.listing("budget:")) == 2, "news of both")
    assert other.listing("budget:t") == {TOKENS: 15}
    assert other.usages((TOKENS, "budget:r:requests:day:global:1:all")) == (15, 2)


async def test_a_worker_that_starts_knows_what_was_spent_before(redis, workers):
    await redis.set(f"p:count:{USD}", "12.5", ex=60)

    (late,) = await workers(1)

    assert late.usages((USD,)) == (12.5,)
    assert late.shared("")


async def test_a_redis_that_has_lost_its_data_is_told_again(redis, workers):
    one, other = await workers(2)
    key = "budget:r:requests:day:global:1:all"
    one.apply([Count(key, 7, 60)])
    await until(lambda: other.usages((key,)) == (7,), "news")

    await redis.flushall()
    one.apply([Count(key, 1, 60)])
    await until(lambda: other.usages((key,)) == (8,), "all of it")

    assert await total(redis, key) == 8
    assert 0 < await redis.ttl(f"p:count:{key}") <= 60


async def test_what_control_could_not_write_counts_here_until_it_is_written(workers):
    (one,) = await workers(1)

    one.add_pending({USD: 3.0})
    assert one.usages((USD,)) == (3.0,)
    one.add_pending({})
    assert one.usages((USD,)) == (0.0,)
