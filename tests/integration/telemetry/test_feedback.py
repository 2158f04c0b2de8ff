"""Feedback and the arms it counts for, in a real Redis."""

import asyncio
import json

import pytest
import redis.asyncio

from sidecar.model import Experiment, Metric
from sidecar.telemetry import feedback as room
from sidecar.telemetry.feedback import MOST_SOURCES, Feedback, Rejection
from tests.integration.telemetry.test_experiments import CANARY, START_MS, Node, arms, outcome

CHECKOUT = Experiment(
    "checkout",
    (),
    metrics=(
        Metric("thumbs", "proportion", "increase", "thumbs"),
        Metric("edits", "mean", "decrease", "edits"),
        Metric("wait_p90", "quantile", "decrease", "wait", q=0.9),
        Metric("error_rate", "proportion", "decrease", "error_rate"),
    ),
)
NOW = START_MS / 1000 + 60
FUTURE = START_MS + 9_000_000


@pytest.fixture
async def client(redis_url):
    async with redis.asyncio.from_url(redis_url) as made:
        yield made


class Desk:
    """Feedback on two decisions: one in the canary arm, one outside of experiments."""

    def __init__(self, client):
        self.client, self.now, self.heard = client, NOW, []
        self.node = Node(client)
        self.feedback = Feedback(
            client,
            self.node.index,
            lambda: {"checkout": CHECKOUT},
            listeners=[self.heard.append],
            clock=lambda: self.now,
        )
        self.assigned, self.plain = outcome(1), outcome(2, ())

    async def say(self, metric="thumbs", value=True, of=None, **fields):
        identity = (of or self.assigned).decision_id
        body = {"decision": identity, "metric": metric, "value": value, **fields}
        return await self.feedback.take(json.dumps(body).encode())

    async def sums(self, metric="thumbs", arm="canary"):
        moments = (await arms(self.client))[arm].metrics[metric].moments
        return moments.n, moments.total, moments.squares


@pytest.fixture
async def desk(client):
    made = Desk(client)
    made.node.take(made.assigned, made.plain)
    await made.node.flush()
    return made


async def test_feedback_adds_to_the_arm_by_assignment_and_as_served(desk):
    accepted = await desk.say(value=0.5)

    arm = (await arms(desk.client))["canary"]
    assert await desk.sums() == (1, 0.5, 0.25)
    assert arm.as_served["thumbs"].moments == arm.metrics["thumbs"].moments
    assert list(arm.metrics["thumbs"].parts) == [0x65 % 32]
    assert (accepted.backend, accepted.declared, accepted.before) == ("small", True, None)
    assert [one.arm for one in accepted.assignments] == ["canary"]
    assert desk.heard == [accepted]


async def test_feedback_on_an_answer_of_a_fallback_is_not_the_arms_as_served(desk):
    saved = outcome(3, backend="large", attempts=2)
    desk.node.take(saved)
    await desk.node.flush()
    await desk.say(of=saved)

    arm = (await arms(desk.client))["canary"]
    assert "thumbs" in arm.metrics
    assert "thumbs" not in arm.as_served


async def test_repeated_feedback_takes_the_place_of_what_was_said_before(desk):
    await desk.say("edits", 7)
    await desk.say("edits", 3)
    last = await desk.say("edits", 3)

    assert last.before == 3
    assert await desk.sums("edits") == (1, 3, 9)


async def test_each_source_has_its_own_say(desk):
    await desk.say(value=1)
    await desk.say(value=0, source="grader:strict")

    assert await desk.sums() == (2, 1, 1)


async def test_quantiles_have_a_histogram_and_what_is_replaced_leaves_it(desk):
    await desk.say("wait", 100)
    await desk.say("wait", 200)

    (counts,) = [(await arms(desk.client))["canary"].metrics["wait"].histogram.counts]
    assert sorted(counts.values()) == [0, 1]


async def test_feedback_from_many_at_once_is_counted_once_each(desk):
    await asyncio.gather(*(desk.say("edits", number) for number in range(20)))

    n, total, squares = await desk.sums("edits")
    assert (n, squares) == (1, total**2)


async def test_the_number_of_sources_is_bounded(desk):
    for number in range(MOST_SOURCES):
        await desk.say(source=f"grader:{number}")
    with pytest.raises(Rejection, match="too many sources") as caught:
        await desk.say(source="grader:one-more")

    assert caught.value.status == 409
    assert (await desk.sums())[0] == MOST_SOURCES


async def test_feedback_on_a_decision_without_experiments_is_taken(desk):
    accepted = await desk.say("anything", -3.5, of=desk.plain)

    assert (accepted.backend, accepted.assignments, accepted.declared) == ("small", (), False)


async def test_a_comment_is_nowhere_in_redis(desk):
    await desk.say(comment="my secret opinion")

    for key in await desk.client.keys("*"):
        assert b"secret" not in await desk.client.dump(key)


async def test_a_decision_that_is_just_being_written_is_waited_for(desk):
    late = outcome(5)
    desk.now = START_MS / 1000 + 1

    async def write():
        await asyncio.sleep(0.25)
        desk.node.take(late)
        await desk.node.flush()

    _, accepted = await asyncio.gather(write(), desk.say(of=late))

    assert accepted.assignments


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"decision": "abc"}, 400, "invalid_decision", "decision"),
        ({"decision": "A" * 28}, 400, "invalid_decision", "decision"),
        ({"decision": f"{START_MS + 5:012x}{'0' * 16}"}, 404, "decision_not_found", "decision"),
        ({"decision": f"{FUTURE:012x}{'0' * 16}"}, 404, "decision_not_found", "decision"),
        ({"decision": "0" * 28}, 404, "decision_expired", "decision"),
        ({"decision": 7}, 400, "invalid_feedback", "decision"),
        ({"metric": "unheard_of"}, 400, "unknown_metric", "metric"),
        ({"metric": "error_rate"}, 400, "unknown_metric", "metric"),
        ({"metric": "no|such"}, 400, "invalid_feedback", "metric"),
        ({"metric": ""}, 400, "invalid_feedback", "metric"),
        ({"value": 1.1}, 400, "value_out_of_range", "value"),
        ({"value": -1}, 400, "value_out_of_range", "value"),
        ({"value": "good"}, 400, "invalid_feedback", "value"),
        ({"value": None}, 400, "invalid_feedback", "value"),
        ({"metric": "edits", "value": 1e300}, 400, "value_out_of_range", "value"),
        ({"metric": "wait", "value": -1}, 400, "value_out_of_range", "value"),
        ({"source": "a b"}, 400, "invalid_feedback", "source"),
        ({"comment": 5}, 400, "invalid_feedback", "comment"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told_and_counts_nothing(desk, fields, status, code, param):
    body = {"decision": desk.assigned.decision_id, "metric": "thumbs", "value": 1} | fields
    with pytest.raises(Rejection) as caught:
        await desk.feedback.take(json.dumps(body).encode())

    assert (caught.value.status, caught.value.code, caught.value.param) == (status, code, param)
    assert "thumbs" not in (await arms(desk.client))["canary"].metrics


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"\xff", b"null", b"[" * 10_000, b'{"decision":"\\ud800"}', b"1e999",
     b'{"decision":"%s","metric":"thumbs","value":1e999}' % (b"0" * 28),
     b'{"decision":"%s","metric":"thumbs","value":NaN}' % (b"0" * 28)],
)  # fmt: skip
async def test_nonsense_is_refused(desk, text):
    with pytest.raises(Rejection) as caught:
        await desk.feedback.take(text)

    assert 400 <= caught.value.status < 500


async def test_an_experiment_that_is_gone_leaves_its_feedback_uncounted(desk):
    gone = CANARY._replace(experiment="gone")
    each = outcome(6, [gone])
    desk.node.take(each)
    await desk.node.flush()
    accepted = await desk.say(of=each)

    assert accepted.assignments == ()
    assert "thumbs" not in (await room_read(desk, "gone"))


async def room_read(desk, name):
    from sidecar.telemetry.experiments import read

    return (await read(desk.client, "test:", name, 3))["canary"].metrics


async def test_feedback_vanishes_with_the_decision_it_is_about(desk):
    await desk.say()

    life = await desk.client.ttl(f"test:feedback:{desk.assigned.decision_id}")
    assert desk.node.index.seconds < life <= desk.node.index.seconds + 3600
    assert room.FRESH_SECONDS < 60
