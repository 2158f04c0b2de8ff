"""`GET /api/v1/decisions` on a real Redis; workers are what the explain tests have."""

import time

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from sidecar.admin.decisions import MOST, Kept, decisions_router
from sidecar.admin.http import admin_app
from sidecar.config.redis_client import connect
from sidecar.model import Assignment
from sidecar.telemetry.decision_log import FIELD, Entry, Result, stream_key
from sidecar.telemetry.decision_reader import MOST_SCANNED
from sidecar.wire.explainer import Problem, Reply

KEY = stream_key("pointsman:")
KEPT = Kept(100_000, 72)
EXPLAINED = Reply(explanation=msgspec.Raw(b'{"route":"all"}'))
OK = Result(status=200, answered=True, backend="small", attempts=1, latency_ms=12.5)
SAVED = Result(status=200, answered=True, backend="large", attempts=2)
FAILED = Result(status=503, error=True, backend="large", attempts=2)
LEFT = Result(backend="small", attempts=1)
PLAN = {"route": "all", "backends": ("small", "large"), "model": "m-small", "version": 3}


def identity(number, at=None):
    moment = time.time() if at is None else at
    return f"{int(moment * 1000):012x}{number:016x}"


class Node:
    """An admin address in front of a Redis."""

    def __init__(self, redis, kept=KEPT, trusted=True):
        self.redis: Redis = redis
        self.asked = []
        self.reply = EXPLAINED
        router = decisions_router(redis, "pointsman:", kept, self.ask, trusted=trusted)
        self.app = admin_app(lambda _: (b"", ""), lambda: (True, {}), router)

    async def ask(self, question, text):
        self.asked.append((question.id, text))
        return self.reply

    async def log(self, number, outcome=OK, at=None, **fields):
        """Write an entry as control does; return its id."""
        name = identity(number, at)
        entry = Entry(name, time.time(), "here", outcome=outcome, **PLAN | fields)
        await self.redis.xadd(KEY, {FIELD: msgspec.json.encode(entry)})
        return name

    async def log_many(self, count, **fields):
        pipe = self.redis.pipeline(transaction=False)
        names = [identity(number) for number in range(count)]
        for name in names:
            entry = Entry(name, time.time(), "here", outcome=OK, **PLAN | fields)
            pipe.xadd(KEY, {FIELD: msgspec.json.encode(entry)})
        await pipe.execute()
        return names

    async def get(self, path="", **query):
        transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(f"/api/v1/decisions{path}", params=query)

    async def ids(self, **query):
        answer = await self.get(**query)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["decisions"]]


@pytest.fixture
async def node(redis_url):
    async with connect(redis_url) as redis:
        yield Node(redis)


def is_problem(answer, status):
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["detail"]


async def test_an_empty_log_has_no_decisions(node):
    assert (await node.get()).json() == {"decisions": [], "next": None}


async def test_decisions_come_newest_first_with_all_their_fields(node):
    arm = Assignment("checkout", 3, "canary", 0.2, "9f86", "")
    first = await node.log(1, assignments=(arm,), probability=0.2, strategy="experiment")
    second = await node.log(2)

    found = (await node.get()).json()["decisions"]

    assert [one["id"] for one in found] == [second, first]
    assert found[1]["assignments"] == [arm._asdict()]
    assert found[1]["outcome"]["latency_ms"] == 12.5
    assert found[1]["outcome"]["ttft_ms"] is None
    assert (found[1]["route"], found[1]["model"], found[1]["probability"]) == (
        "all",
        "m-small",
        0.2,
    )
    assert found[0]["assignments"] == []


async def test_pages_follow_each_other_without_gap_or_repetition(node):
    names = await node.log_many(23)
    seen, before = [], {}
    for size in (10, 10, 3):
        page = (await node.get(limit=10, **before)).json()
        assert len(page["decisions"]) == size
        seen += [one["id"] for one in page["decisions"]]
        before = {"before": page["next"]}
        await node.log(99)  # what comes in meanwhile moves nothing

    assert seen == names[::-1]
    assert before == {"before": None}


@pytest.mark.parametrize("before", ["0-0", "000-0"])
async def test_before_the_first_there_is_nothing(node, before):
    await node.log(1)

    assert (await node.get(before=before)).json() == {"decisions": [], "next": None}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "ok"}, ["ok", "saved", "other"]),
        ({"status": "failed"}, ["failed"]),
        ({"status": "fallback"}, ["saved", "failed"]),
        ({"route": "night"}, ["other"]),
        ({"model": "m-large"}, ["other"]),
        ({"backend": "large"}, ["saved", "failed"]),
        ({"backend": "large", "status": "ok"}, ["saved"]),
        ({"backend": "ghost"}, []),
    ],
    ids=str,
)
async def test_filters_are_anded(node, query, expected):
    names = {
        await node.log(1, OK): "ok",
        await node.log(2, SAVED): "saved",
        await node.log(3, FAILED): "failed",
        await node.log(4, LEFT): "left",
        await node.log(5, OK, route="night", model="m-large"): "other",
    }

    assert sorted(names[one] for one in await node.ids(**query)) == sorted(expected)


async def test_a_filter_that_holds_for_few_looks_through_a_bounded_part_at_once(node):
    rare = await node.log(1, route="rare")
    await node.log_many(MOST_SCANNED)

    first = (await node.get(route="rare")).json()
    assert first["decisions"] == []
    assert first["next"] is not None
    assert await node.ids(route="rare", before=first["next"]) == [rare]


async def test_what_others_put_into_the_stream_is_passed_over(node):
    mine = await node.log(1)
    for fields in ({"x": "1"}, {FIELD: "{"}, {FIELD: "[]"}, {FIELD: b"\xff"}, {FIELD: '{"id":1}'}):
        await node.redis.xadd(KEY, fields)
    await node.redis.xadd(KEY, {FIELD: f'{{"note":"{mine}"}}'})
    last = await node.log(2)

    assert await node.ids() == [last, mine]
    assert await node.ids(limit=1) == [last]
    assert (await node.get(f"/{mine}")).json()["id"] == mine


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": MOST + 1},
        {"limit": "x"},
        {"status": "odd"},
        {"before": "0198f0a1b2c3d4e5f60718293a4b"},
        {"before": "+"},
    ],
    ids=str,
)
async def test_a_wrong_query_is_told_what_is_wrong(node, query):
    assert next(iter(query)) in is_problem(await node.get(**query), 422)


async def test_one_decision_has_outcome_attempts_feedback_and_explanation(node):
    name = await node.log(7, SAVED)
    await node.redis.hset(f"pointsman:feedback:{name}", "thumbs|user", "1 4")
    await node.log(8)

    found = (await node.get(f"/{name}")).json()

    assert found["id"] == name
    assert found["attempts"] == [
        {"backend": "small", "answered": False, "status": None},
        {"backend": "large", "answered": True, "status": 200},
    ]
    assert found["outcome"]["attempts"] == 2
    assert found["feedback"] == [{"metric": "thumbs", "source": "user", "value": 1.0}]
    assert found["explanation"] == {"route": "all"}
    assert found["not_explained"] is None
    assert node.asked == [(name, f'{{"id":"{name}"}}'.encode())]


async def test_a_decision_that_no_worker_remembers_is_told_without_explanation(node):
    name = await node.log(7)
    node.reply = Reply(problem=Problem(404, "Unknown decision", "No worker here knows it."))

    found = (await node.get(f"/{name}")).json()

    assert (found["explanation"], found["not_explained"]) == (None, "No worker here knows it.")
    assert found["outcome"]["status"] == 200


async def test_where_others_could_read_it_nothing_is_explained(redis_url):
    async with connect(redis_url) as redis:
        node = Node(redis, trusted=False)
        name = await node.log(7)
        found = (await node.get(f"/{name}")).json()

    assert (found["explanation"], node.asked) == (None, [])
    assert "POINTSMAN_EXPLAIN_API" in found["not_explained"]


async def test_a_decision_is_found_by_its_time_among_many(node):
    names = await node.log_many(2500)
    slow = await node.log(9, at=time.time() - 600)  # decided long before it was over

    for name in (names[0], names[1234], slow):
        assert (await node.get(f"/{name}")).json()["id"] == name


NOBODYS = [identity(1), "0" * 28, "f" * 28, "nonsense", "x" * 99]


@pytest.mark.parametrize("name", NOBODYS, ids=["new", "least", "most", "short", "long"])
async def test_a_decision_that_is_not_there_is_404_and_says_how_long_they_are_kept(node, name):
    await node.log(7)

    told = is_problem(await node.get(f"/{name}"), 404)

    assert "72 hours" in told
    assert "100,000" in told


async def test_without_a_log_it_says_so(redis_url):
    async with connect(redis_url) as redis:
        node = Node(redis, kept=Kept(0, 72))
        assert "POINTSMAN_DECISION_LOG" in is_problem(await node.get(f"/{identity(1)}"), 404)
        assert (await node.get()).json()["decisions"] == []


async def test_without_redis_it_is_503_and_says_nothing_else():
    async with connect("redis://127.0.0.1:1") as nowhere:
        node = Node(nowhere)
        for path in ("", f"/{identity(1)}"):
            told = is_problem(await node.get(path), 503)
            assert "does not answer" in told
            assert "127.0.0.1" not in told


async def test_a_key_that_is_no_stream_is_503(node):
    await node.redis.set(KEY, "text")

    is_problem(await node.get(), 503)


async def test_a_pinned_arm_is_marked(node):
    pinned = await node.log(1, warnings=("variant_pinned",))
    await node.log(2, warnings=("unknown_model",))

    found = {one["id"]: one for one in (await node.get()).json()["decisions"]}

    assert [name for name, one in found.items() if one["pinned"]] == [pinned]
    assert found[pinned]["warnings"] == ["variant_pinned"]
