"""Routers with a memory that workers share: sessions stay, turns are taken, decisions replay."""

import asyncio

import pytest

from sidecar import facts
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.config.redis_client import connect
from sidecar.decide import decide
from sidecar.memory import LiveMemory
from sidecar.model import FORGETFUL, Entropy, Recall, Stats

BACKENDS = {name: {"endpoints": ["http://127.0.0.1"]} for name in ("a", "b", "c")}
TARGETS = [*BACKENDS]
HEADERS = {"x-session-id": "s1", "authorization": "Bearer alice"}


def snapshot(**router):
    routes = {"chat": {"router": {"targets": TARGETS, **router}}}
    return compile_snapshot(Documents.of({"backends": BACKENDS, "routes": routes}), version=1)


def decided(rules, memory, *, unready=(), headers=HEADERS):
    """Decide as a worker does, and return the decision."""
    request = facts.read("/v1/chat/completions", headers, b'{"model":"x"}')
    stats = Stats(unready=frozenset(unready))
    return decide(rules, stats, request, Entropy(7), 1.8e9, memory)


def backend(decision):
    return decision.plan.attempts[0].backend.name


@pytest.fixture
async def workers(redis_url):
    async with connect(redis_url) as client:
        memories = [LiveMemory(client, prefix="test:") for _ in range(2)]
        running = [asyncio.create_task(memory.run()) for memory in memories]
        await until(lambda: all(memory.up for memory in memories))
        yield memories
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what happens in another task tells nobody
            await asyncio.sleep(0.005)


async def test_a_session_that_had_to_move_stays_where_it_is_on_every_worker(workers):
    rules, (one, two) = snapshot(type="session"), workers
    first = decided(rules, one)
    one.apply(first.plan.effects)
    assert backend(first) == backend(decided(rules, two)), "before anybody was told"

    moved = decided(rules, one, unready=[backend(first)])
    one.apply(moved.plan.effects)
    key = moved.plan.effects[0].key
    await until(lambda: two.pin(key) == backend(moved))

    assert backend(first) != backend(moved) == backend(decided(rules, two))
    assert decided(rules, two).plan.probability == 1.0


async def test_sessions_of_two_api_keys_do_not_share_a_pin(workers):
    rules, (one, _) = snapshot(type="session"), workers
    bob = {**HEADERS, "authorization": "Bearer bob"}
    home = backend(decided(rules, one, headers=bob))

    one.apply(decided(rules, one, unready=[home]).plan.effects)

    assert backend(decided(rules, one, headers=bob)) == home


async def test_each_worker_takes_turns_of_its_own(workers):
    rules = snapshot(type="round_robin", weights=[2, 1, 1])

    for memory in workers:
        went = ""
        for _ in range(8):
            decision = decided(rules, memory)
            memory.apply(decision.plan.effects)
            went += backend(decision)
        assert went == "abcaabca"


@pytest.mark.parametrize("kind", ["round_robin", "session", "sticky", "nearest"])
async def test_a_recorded_decision_replays_after_the_memory_went_on(workers, kind):
    rules, (memory, _) = snapshot(type=kind), workers
    memory.apply(decided(rules, memory, unready=["a", "b"]).plan.effects)
    recall = Recall(memory)
    recorded = decided(rules, recall)
    memory.apply([*recorded.plan.effects] * 2)

    assert decided(rules, Recall(FORGETFUL, recall.reads)) == recorded
