"""Outcomes → sums of arms, log and index in a real Redis, whatever happens on the way."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest
import redis.asyncio

from sidecar.evidence.histogram import bucket
from sidecar.model import Assignment, Backend, Experiment, Metric, Price
from sidecar.telemetry import outbox
from sidecar.telemetry.arm_sums import ArmSums, measure, pairs_of
from sidecar.telemetry.decision_index import ASSIGNED, OTHERS, DecisionIndex, decided_at
from sidecar.telemetry.decision_log import FIELD, DecisionLog, read_entry
from sidecar.telemetry.experiments import parse, read
from sidecar.telemetry.outbox import Outbox
from sidecar.telemetry.outcome import Outcome
from sidecar.telemetry.usage import Usage

SMALL = Backend("small", "small-model", "openai", price=Price(0.5, 2.0))
CANARY = Assignment("checkout", 3, "canary", 0.2, "9f86d081884c7d65")
ROOT = Path(__file__).parents[3]
START_MS = round(time.time() * 1000) - 7_200_000


def outcome(number=1, assignments=(CANARY,), **fields):
    usual = {
        "decision_id": f"{START_MS + number:012x}{number:016x}",
        "route": "all",
        "strategy": "experiment",
        "plan": ("small", "large"),
        "backend": "small",
        "attempts": 1,
        "status": 200,
        "started": START_MS / 1000,
        "duration_s": 0.25,
        "upstream_s": 0.2,
        "tokens": Usage(10, 20),
        "probability": 0.2,
    }
    return Outcome(assignments=tuple(assignments), **(usual | fields))


class Node:
    """What a control process has: sums, index, log, and the outbox that writes them."""

    def __init__(self, client, name="one", most=100_000, hours=72.0):
        self.counts, self.logged = Counter(), Counter()
        self.sums = ArmSums("test:", lambda result, n: self.counts.update({result: n}))
        self.index = DecisionIndex("test:", {ASSIGNED: most, OTHERS: most}, 24)
        self.log = DecisionLog(
            "test:", name, most, hours, lambda result, n: self.logged.update({result: n})
        )
        self.outbox = Outbox(client, name, [self.sums, self.index, self.log])
        self.flush = self.outbox.flush

    def take(self, *outcomes):
        for each in outcomes:
            values = measure(each, SMALL)
            self.sums.add(each, values)
            self.index.add(each)
            self.log.add(each, values)


@pytest.fixture
async def client(redis_url):
    async with redis.asyncio.from_url(redis_url) as made:
        yield made


async def arms(client):
    return await read(client, "test:", "checkout", 3)


async def test_an_outcome_adds_to_each_metric_of_its_arm(client):
    node = Node(client)
    node.take(outcome(stream=True, ttft_s=0.05))
    await node.flush()

    arm = (await arms(client))["canary"]

    assert (arm.assigned, arm.served) == (1, 1)
    assert {name: each.moments.total for name, each in arm.metrics.items()} == {
        "error_rate": 0,
        "latency_ms": 200,
        "ttft_ms": 50,
        "input_tokens": 10,
        "output_tokens": 20,
        "cost_usd": 45,
        "tokens_per_second": 0,
    }
    assert arm.metrics.keys() == arm.as_served.keys()
    assert arm.metrics["latency_ms"].histogram.counts == {bucket(200): 1}
    assert arm.metrics["tokens_per_second"].statistic("ratio").mean == pytest.approx(20 / 0.15)
    assert node.counts == {"kept": 1}


async def test_a_fallback_is_no_error_by_assignment_but_one_as_served(client):
    node = Node(client)
    node.take(outcome(backend="large", attempts=2, duration_s=1.2))
    await node.flush()

    arm = (await arms(client))["canary"]

    assert (arm.assigned, arm.served, list(arm.as_served)) == (1, 0, ["error_rate"])
    assert arm.as_served["error_rate"].moments.total == 1
    assert arm.metrics["error_rate"].moments.total == 0
    assert arm.metrics["latency_ms"].moments.total == pytest.approx(1200)


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"status": 500}, 1),
        ({"status": 429}, 1),
        ({"status": 0, "failure": "timeout"}, 1),
        ({"status": 400}, 0),
        ({"status": 200, "client_gone": True}, 0),
        ({"status": 0, "client_gone": True}, None),
    ],
)
async def test_errors_are_those_that_the_client_is_not_to_blame_for(client, fields, errors):
    node = Node(client)
    node.take(outcome(**fields))
    await node.flush()

    arm = (await arms(client))["canary"]

    measured = arm.metrics.get("error_rate")
    assert (measured.moments.total if measured else None) == errors
    assert arm.assigned == 1
    assert "latency_ms" not in arm.metrics


async def test_ratios_of_an_experiment_add_up_per_request(client):
    node = Node(client)
    metric = Metric("cost_per_token", "ratio", "decrease", "cost_usd", "output_tokens")
    pairs = pairs_of([Experiment("checkout", (), metrics=(metric,))])
    for tokens in (Usage(10, 20), Usage(0, 10)):
        each = outcome(tokens=tokens)
        node.sums.add(each, measure(each, SMALL), pairs)
    await node.flush()

    ratio = (await arms(client))["canary"].metrics["cost_per_token"].statistic("ratio")

    assert (ratio.n, ratio.mean, ratio.xy) == (2, 65 / 30, 45 * 20 + 20 * 10)


async def test_units_are_counted_in_parts_that_say_how_alike_their_requests_are(client):
    node = Node(client)
    for place in range(640):
        unit = f"{place % 64:016x}"
        slow = 0.9 if place % 64 < 32 and place % 2 else 0.1
        node.take(outcome(place, [CANARY._replace(unit=unit)], upstream_s=slow))
    await node.flush()

    latency = (await arms(client))["canary"].metrics["latency_ms"]

    assert len(latency.parts) == 32
    assert sum(part.n for part in latency.parts.values()) == 640
    assert latency.design_effect > 5


async def test_two_nodes_add_to_the_same_sums(client):
    nodes = [Node(client, "one"), Node(client, "two")]
    for node in nodes:
        node.take(*(outcome(number) for number in range(10)))
    await asyncio.gather(*(node.flush() for node in nodes))
    nodes[0].take(outcome())
    await nodes[0].flush()

    assert (await arms(client))["canary"].assigned == 21


async def test_a_stretch_is_what_came_after_it_began(client):
    node = Node(client)
    node.take(outcome(), outcome())
    await node.flush()
    begun = (await arms(client))["canary"]
    node.take(outcome(upstream_s=0.4))
    await node.flush()

    stretch = (await arms(client))["canary"].since(begun)

    assert (stretch.assigned, stretch.metrics["latency_ms"].moments.mean) == (1, 400)
    assert stretch.metrics["latency_ms"].histogram.counts == {bucket(400): 1}


class Unheard:
    """A client whose answers are lost on the way back, as when a connection dies just then."""

    def __init__(self, client):
        self.client, self.deaf = client, True

    def pipeline(self, transaction=True):
        pipe, owner = self.client.pipeline(transaction=transaction), self
        execute = pipe.execute

        async def deaf(**options):
            answers = await execute(**options)
            if owner.deaf:
                raise ConnectionError("lost after it was written")
            return answers

        pipe.execute = deaf
        return pipe


async def test_a_batch_that_is_sent_twice_counts_once(client):
    unheard = Unheard(client)
    node = Node(unheard)
    node.take(outcome(1), outcome(2))
    await node.flush()
    node.take(outcome(3))
    unheard.deaf = False
    await node.flush()
    await node.flush()

    assert (await arms(client))["canary"].assigned == 3
    assert await client.xlen("test:decisions") == 3
    assert int(await client.hget("test:decided:arms:sizes", "all")) == 3
    assert node.counts == {"kept": 3}


async def test_a_node_that_starts_again_under_its_name_counts_on(client):
    for _ in range(2):
        node = Node(client, "one")
        node.take(outcome())
        await node.flush()

    assert (await arms(client))["canary"].assigned == 2


async def test_what_comes_while_redis_is_away_is_written_afterwards(redis_server):
    async with redis.asyncio.from_url(redis_server.url, retry=None) as client:
        node = Node(client)
        redis_server.stop()
        node.take(outcome(1))
        await node.flush()
        assert not node.outbox.up
        node.take(outcome(2))
        await node.flush()
        redis_server.start()
        await node.flush()
        await node.flush()

        assert (await arms(client))["canary"].assigned == 2
        assert node.counts == {"kept": 2}


async def test_a_key_that_holds_something_else_costs_its_own_sums_alone(client):
    await client.set("test:experiment:checkout:3", "not a hash")
    node = Node(client)
    node.take(outcome(1), outcome(2, [CANARY._replace(experiment="other")]))
    await node.flush()

    assert (await read(client, "test:", "other", 3))["canary"].assigned == 1
    assert node.counts == {"kept": 1, "lost": 1}


async def test_fields_that_are_not_ours_are_passed_over(client):
    strange = {
        "node:one": "a:1", "canary|assigned|n": "many", "x": "1", "canary|partx:m|n": "1",
        "canary|metric:m|b": "1", "|||": "1", b"\xff|metric:m|n": "2",
    }  # fmt: skip
    await client.hset("test:experiment:checkout:3", mapping=strange)

    found = await arms(client)

    assert found.get("canary", parse({b"canary|assigned|n": b"0"})["canary"]).assigned == 0


async def test_an_entry_of_the_log_says_what_was_decided_and_what_came_of_it(client):
    node = Node(client)
    node.take(outcome(), outcome(2, (), status=400, tokens=Usage()))
    await node.flush()

    first, second = [
        read_entry(fields[FIELD.encode()]) for _, fields in await client.xrange("test:decisions")
    ]

    assert (first.route, first.backends, first.probability) == ("all", ("small", "large"), 0.2)
    assert first.assignments == (CANARY,)
    assert (first.outcome.latency_ms, first.outcome.cost_usd, first.outcome.error) == (
        200,
        45,
        False,
    )
    assert (second.outcome.status, second.outcome.answered, second.outcome.error) == (
        400,
        False,
        False,
    )


async def test_the_log_keeps_to_its_length_and_its_age(client):
    node = Node(client, most=300)
    await client.xadd("test:decisions", {"d": "{}"}, id="1-0")
    node.take(*(outcome(number) for number in range(2000)))
    await node.flush()

    ids = [name for name, _ in await client.xrange("test:decisions")]
    assert 300 <= len(ids) <= 400
    assert b"1-0" not in ids


async def test_the_log_may_be_off(client):
    node = Node(client, most=0)
    node.take(outcome())
    await node.flush()

    assert await client.exists("test:decisions") == 0
    assert (await arms(client))["canary"].assigned == 1


async def test_what_waits_too_long_for_redis_is_dropped_and_counted(client, monkeypatch):
    monkeypatch.setattr("sidecar.telemetry.decision_log.MOST_WAITING", 10)
    node = Node(client)
    node.take(*(outcome(number) for number in range(12)))
    await node.flush()

    assert node.logged == {"lost": 2, "kept": 10}
    assert (await arms(client))["canary"].assigned == 12


async def test_a_decision_is_found_by_its_id(client):
    node = Node(client)
    node.take(outcome(1), outcome(2, (), backend="large"))
    await node.flush()

    first = await node.index.find(client, outcome(1).decision_id)
    second = await node.index.find(client, outcome(2).decision_id)

    assert (first.backend, first.served) == ("small", True)
    assert first.assignments == (CANARY._replace(unit="65"),)
    assert (second.backend, second.served, second.assignments) == ("large", False, ())
    assert await node.index.find(client, outcome(3).decision_id) is None


async def test_the_index_forgets_the_oldest_when_it_gets_too_many(client):
    node = Node(client, most=50)
    many = [outcome(number * 1000) for number in range(200)]
    node.take(*many)
    await node.flush()

    kept = [each for each in many if await node.index.find(client, each.decision_id)]

    assert kept == many[-len(kept) :]
    assert 40 <= len(kept) <= 50
    assert int(await client.hget("test:decided:arms:sizes", "all")) == len(kept)


async def test_the_index_forgets_what_is_too_old(client):
    node = Node(client)
    node.index.seconds = 3600
    node.take(outcome())
    await node.flush()

    assert await node.index.find(client, outcome().decision_id) is None
    assert decided_at(outcome().decision_id) == pytest.approx((START_MS + 1) / 1000)


_VICTIM = """
    import asyncio, sys
    from pathlib import Path
    import redis.asyncio
    from tests.integration.telemetry.test_experiments import Node, outcome
    from sidecar.telemetry.tally import Tally

    async def main():
        node, tally = Node(redis.asyncio.from_url(sys.argv[1])), Tally(Path(sys.argv[2]))
        node.sums._count = lambda _, count: tally.write(count)
        running = asyncio.create_task(node.outbox.run())
        for number in range(100_000):
            node.take(outcome(number))
            tally.take()
            print(number + 1, flush=True)
            await asyncio.sleep(0.002)

    asyncio.run(main())
"""


async def test_a_node_that_is_killed_loses_less_than_a_second_and_the_loss_is_counted(
    client, redis_url, tmp_path
):
    from sidecar.telemetry.tally import Tally

    victim = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", textwrap.dedent(_VICTIM), redis_url, str(tmp_path / "tally")],
        stdout=subprocess.PIPE, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        lines = [victim.stdout.readline() for _ in range(700)]
    finally:
        os.kill(victim.pid, signal.SIGKILL)
        lines += victim.stdout.read().splitlines()
        victim.stdout.close()
        victim.wait()

    taken = max(int(line) for line in lines if line.strip().isdigit())
    kept = (await arms(client))["canary"].assigned
    # One outcome comes every 2 ms or more, so a second has 500 of them at most.
    assert 0 < taken - kept <= 500
    lost = Tally(tmp_path / "tally").lost
    assert lost == pytest.approx(taken - kept, abs=1)
    assert Tally(tmp_path / "tally").lost == 0


async def test_a_refusal_that_passes_costs_nothing(client, monkeypatch):
    node = Node(client)
    node.take(outcome(1))
    await client.config_set("maxmemory", "1")
    try:
        await node.flush()
        assert not node.outbox.up
    finally:
        await client.config_set("maxmemory", "0")
    await node.flush()

    assert (await arms(client))["canary"].assigned == 1
    assert node.counts == {"kept": 1}


async def test_a_refusal_that_stays_is_given_up_and_counted(client, monkeypatch):
    monkeypatch.setattr(outbox, "PATIENCE", 3)
    node = Node(client)
    node.take(outcome(1))
    await client.config_set("maxmemory", "1")
    try:
        for _ in range(3):
            await node.flush()
    finally:
        await client.config_set("maxmemory", "0")

    assert node.counts == {"lost": 1}
