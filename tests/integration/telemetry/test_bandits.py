"""What bandits learn, in a real Redis: by several nodes, over restarts, and after a change."""

import json

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from sidecar.choose.bandit import OTHER, bandits_in
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.model import Assignment
from sidecar.telemetry import bandits
from sidecar.telemetry.arm_sums import measure
from sidecar.telemetry.bandits import Bandits
from sidecar.telemetry.feedback import Accepted
from sidecar.telemetry.odds import SLOTS
from sidecar.telemetry.outbox import Outbox
from sidecar.telemetry.outcome import Outcome


def rules(**fields):
    router = {"type": "bandit", "targets": ["good", "bad"], **fields}
    documents = {
        "backends": {name: {"endpoints": ["http://127.0.0.1:1"]} for name in ("good", "bad")},
        "routers": {"it": router},
    }
    return compile_snapshot(Documents.of(documents), version=1)


class Node:
    """A node: what comes in there, and how it draws."""

    def __init__(self, client, name, **fields):
        self.bandits = Bandits(client, "test:")
        self.outbox = Outbox(client, name, [self.bandits])
        self.use(**fields)

    def use(self, **fields):
        snapshot = rules(**fields)
        (self.bandit,) = bandits_in(snapshot.routers["it"])
        self.bandits.use(snapshot)

    @property
    def key(self):
        return f"test:bandit:it:{self.bandit.version}"

    def assignment(self, arm, bucket=""):
        return Assignment("bandit:it", self.bandit.version, arm, 0.5, "", bucket)

    def see(self, arm, status=200, count=1, bucket=""):
        seen = Outcome(
            decision_id="1",
            backend=arm,
            attempts=1,
            status=status,
            assignments=(self.assignment(arm, bucket),),
        )
        for _ in range(count):
            self.bandits.add(seen, measure(seen, None))

    def told(self, arm, value, before=None):
        known = (self.assignment(arm),)
        self.bandits.feedback(Accepted("1", arm, known, "thumbs", True, value, before))

    async def learn(self):
        await self.outbox.flush()
        await self.bandits.tick()

    def odds(self, bucket=""):
        return self.bandits.odds.get(self.bandit.key, {}).get(bucket)

    def samples(self, bucket=""):
        return self.odds(bucket).samples


@pytest.fixture
async def client(redis_url):
    async with redis.asyncio.from_url(redis_url) as made:
        yield made


async def test_nodes_learn_together_and_draw_alike(client):
    one, two = Node(client, "one"), Node(client, "two")
    one.see("good", count=60)
    one.see("bad", 500, count=10)
    two.see("bad", 500, count=50)

    await one.learn()
    await two.learn()
    await one.learn()

    assert one.odds() == two.odds()
    assert one.samples() == (60, 60)
    assert one.odds().probabilities == pytest.approx((0.98, 0.02))


async def test_a_node_that_starts_again_knows_what_it_knew(client):
    node = Node(client, "one")
    node.see("good", count=5)
    await node.learn()

    again = Node(client, "one")
    assert again.odds() is None
    await again.learn()
    again.see("good")
    await again.learn()

    assert again.samples() == (6, 0)


async def test_while_redis_is_away_draws_go_on_and_nothing_is_lost(redis_server):
    retry = Retry(NoBackoff(), 1)
    async with redis.asyncio.from_url(redis_server.url, retry=retry) as client:
        node = Node(client, "one")
        node.see("good", count=5)
        await node.learn()
        before = node.odds()

        redis_server.stop()
        node.see("bad", count=3)
        await node.learn()
        assert node.odds() == before

        redis_server.start()
        await node.learn()
        assert node.samples() == (0, 3), "the server kept nothing; the node had not sent this"


async def test_other_arms_reward_or_context_start_anew_and_other_algorithms_do_not(client):
    node = Node(client, "one")
    node.see("good", count=5)
    await node.learn()

    node.use(algorithm="ucb1", floor=0.2)
    await node.learn()
    assert node.samples() == (5, 0)

    node.use(targets=["good", {"model": "bad", "temperature": 1}])
    await node.learn()
    assert node.odds() is None


async def test_buckets_learn_apart(client):
    node = Node(client, "one", context="user.tenant")
    for arm, others in (("good", "bad"), ("bad", "good")):
        node.see(arm, count=40, bucket=f"likes-{arm}")
        node.see(others, 500, count=40, bucket=f"likes-{arm}")

    await node.learn()

    assert node.odds("likes-good").probabilities == pytest.approx((0.98, 0.02))
    assert node.odds("likes-bad").probabilities == pytest.approx((0.02, 0.98))
    assert node.bandits.probabilities() == {
        ("it", "good"): pytest.approx(0.5),
        ("it", "bad"): pytest.approx(0.5),
    }


async def test_there_are_so_many_buckets_and_no_more(client, monkeypatch):
    monkeypatch.setattr(bandits, "MOST_BUCKETS", 3)
    one, two = (Node(client, name, context="user.id") for name in ("one", "two"))
    for number in range(3):
        one.see("good", bucket=f"u{number}")
    await one.learn()

    for number in range(6):
        two.see("bad", bucket=f"u{number}")
        await two.learn()
    for number in range(6):
        two.see("bad", bucket=f"v{number}")
    await two.learn()

    assert two.bandits.odds[two.bandit.key].keys() == {"u0", "u1", "u2", OTHER}
    assert two.samples("u2") == (1, 1)
    assert two.samples(OTHER) == (0, 9)


async def test_half_of_it_is_forgotten_after_so_many_requests(client):
    node = Node(client, "one", half_life_requests=100)
    node.see("good", count=64)
    await node.learn()

    node.see("bad", 500, count=100)
    await node.learn()
    assert node.samples() == (32, 100)

    for _ in range(100):
        node.see("bad", 500)
        await node.outbox.flush()
    await node.learn()
    assert node.samples()[0] == pytest.approx(16)


async def aged(client, node, seconds):
    """Make what is known look ``seconds`` older."""
    field = "bucket:"
    earned = json.loads(await client.hget(node.key, field))
    earned["at"] -= seconds
    if node.bandit.learning.window_seconds is not None:
        length = node.bandit.learning.window_seconds / SLOTS
        earned["slots"] = {
            str(int(s) - round(seconds / length)): v for s, v in earned["slots"].items()
        }
    await client.hset(node.key, field, json.dumps(earned))
    await client.hset(node.key, "rev", f"{seconds} s older")


async def test_half_of_it_is_forgotten_after_so_many_seconds(client):
    node = Node(client, "one", half_life_seconds=3600)
    node.see("good", count=64)
    await node.learn()

    await aged(client, node, 7200)
    await node.learn()
    assert node.samples() == pytest.approx((16, 0), rel=1e-2)

    node.see("bad")
    await node.learn()
    assert node.samples() == pytest.approx((16, 1), rel=1e-2)


async def test_a_window_moves_on(client):
    node = Node(client, "one", window_seconds=2000)
    node.see("good", count=64)
    await node.learn()
    await aged(client, node, 1000)
    node.see("good", count=1)
    await node.learn()
    assert node.samples() == (65, 0)

    await aged(client, node, 1500)
    await node.learn()
    assert node.samples() == (1, 0)

    node.see("good", count=2)
    await node.learn()
    kept = json.loads(await client.hget(node.key, "bucket:"))
    assert node.samples() == (3, 0)
    assert len(kept["slots"]) == 2, "what is over is removed"


async def test_after_a_switch_the_better_one_is_found_again(client):
    node = Node(client, "one", half_life_requests=100)
    for good, bad, best in ((200, 500, 0), (500, 200, 1)):
        for _ in range(15):
            node.see("good", good, count=20)
            node.see("bad", bad, count=20)
            await node.learn()
        assert node.odds().probabilities[best] == pytest.approx(0.98, abs=1e-3)


async def test_feedback_is_what_counts_and_the_last_word_is(client):
    node = Node(client, "one", reward="feedback:thumbs")
    node.see("good", 500, count=9)
    node.told("good", 1.0)
    node.told("bad", 1.0)
    await node.learn()
    assert node.odds().probabilities == pytest.approx((0.5, 0.5))

    node.told("bad", 0.0, before=1.0)
    await node.learn()

    assert node.samples() == (1, 1)
    assert node.odds().probabilities[0] > 0.8
    earned = json.loads(await client.hget(node.key, "bucket:"))["slots"]["0"]
    assert earned == {"good": [1, 1, 1], "bad": [1, 0, 0]}


def test_feedback_may_report_what_a_bandit_learns_from():
    node = Node(None, "one", reward="feedback:thumbs")
    normal = Node(None, "one", reward="feedback:minutes", model="normal")

    (metric,) = node.bandits.experiments["bandit:it"].metrics
    assert (metric.name, metric.kind) == ("thumbs", "proportion")
    (metric,) = normal.bandits.experiments["bandit:it"].metrics
    assert (metric.name, metric.kind) == ("minutes", "mean")
    assert Node(None, "one").bandits.experiments == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"at":1}',
        '{"at":"x","slots":[]}',
        '{"at":1,"slots":{"x":{"good":[1]}}}',
        "\xff",
    ],
)
async def test_what_is_no_state_is_as_if_there_were_none(client, text):
    node = Node(client, "one")
    await client.hset(node.key, mapping={"bucket:": text, "buckets": 1, "rev": 7})

    await node.learn()
    assert node.odds().probabilities == (0.5, 0.5)

    node.see("good", count=3)
    await node.learn()
    assert node.samples() == (3, 0)


async def test_a_key_of_another_type_costs_its_own_bandit_alone(client):
    node = Node(client, "one")
    await client.set(node.key, "mine")

    node.see("good")
    await node.learn()

    assert node.odds() is None
    await client.delete(node.key)
    node.see("good")
    await node.learn()
    assert node.samples() == (1, 0)


async def test_a_state_that_is_removed_is_forgotten_by_all(client):
    node = Node(client, "one")
    node.see("good")
    await node.learn()

    await client.delete(node.key)
    await node.learn()

    assert node.odds() is None
    assert node.bandits.probabilities() == {("it", "good"): 0.5, ("it", "bad"): 0.5}


async def test_assignments_to_what_is_not_configured_are_passed_over(client):
    node = Node(client, "one")
    stray = [
        Assignment("bandit:it", node.bandit.version + 1, "good", 0.5),
        Assignment("bandit:it", node.bandit.version, "nobody", 0.5),
        Assignment("checkout", 1, "good", 0.5),
    ]
    for assignment in stray:
        seen = Outcome(backend="good", attempts=1, status=200, assignments=(assignment,))
        node.bandits.add(seen, measure(seen, None))

    await node.learn()

    assert await client.keys("*") == []
