"""Facts on their way through a real Redis: recorded, joined with decisions, asked, exported."""

import asyncio
import csv
import json
import time

import msgspec
import pyarrow.parquet
import pytest
import redis.asyncio

from sidecar.app.export import COLUMNS, ExportError, export
from sidecar.app.past import read_records
from sidecar.app.recording import MOST_WAITING, FactsRecorder, facts_recorder
from sidecar.app.whatif import Question, reply_to, run
from sidecar.config.documents import Documents
from sidecar.config.redis_store import RedisStore
from sidecar.model import Assignment
from sidecar.settings import Settings
from sidecar.telemetry.decision_log import Entry, Result, stream_key
from sidecar.wire.decider import Decider
from tests.unit.whatif import past

PREFIX = "pointsman:"
BACKENDS = {
    name: {"endpoints": ["http://127.0.0.1:1"], "price": {"per_input_token": price}}
    for name, price in [("small", 1e-6), ("large", 1e-5)]
}


def documents(**shares):
    router = {
        "type": "percentage",
        "targets": [*shares],
        "targets_percentages": [*shares.values()],
    }
    return {"backends": BACKENDS, "routes": {"all": {"router": router}}}


LIVE = documents(small=50, large=50)
PATH = "/v1/chat/completions"


@pytest.fixture
async def store(redis_url):
    async with redis.asyncio.Redis.from_url(redis_url, protocol=3) as client:
        yield client


@pytest.fixture
def settings(redis_url):
    return Settings.read({"POINTSMAN_REDIS_URL": redis_url, "POINTSMAN_DECISION_FACTS": "1"})


async def make_live(settings, what=LIVE):
    store = RedisStore(settings.store_url(), settings.prefix)
    stored = await store.load()
    await store.apply(Documents.of(what), based_on=stored, who="me", what="test")
    await store.close()


async def traffic(store, settings, n=30, **came):
    """Let a worker's decider decide requests, and control log what came of them."""
    snapshot = past.compile_snapshot(Documents.of(LIVE), version=1)
    recorder = facts_recorder(settings, store)
    taken = []
    decider = Decider(lambda: snapshot, past.Stats, 2**20, sample=Spy(recorder, taken))
    for place in range(n):
        decider.answer(PATH, {"x-user-id": f"u{place}"}, past.body(user=f"b{place}"), rewrite=False)
    await recorder.flush(time.time() + 1)
    for record, made in taken:
        await log(store, record, made, **came)
    return [record.id for record, _ in taken]


class Spy:
    """Passes on to a recorder, and remembers what was decided."""

    def __init__(self, recorder, taken):
        self.below = recorder.below
        self._recorder, self._taken = recorder, taken

    def take(self, record, request):
        self._recorder.take(record, request)
        made = past.decide(
            record.snapshot, record.stats, request, past.Entropy(record.seed), record.now
        )
        self._taken.append((record, made))


async def log(store, record, made, **came):
    entry = Entry(
        id=record.id,
        at=record.now,
        node="n1",
        route=made.route,
        strategy=made.plan.strategy,
        backends=tuple(attempt.backend.name for attempt in made.plan.attempts),
        probability=made.plan.probability,
        version=1,
        assignments=(Assignment("exp", 1, "a", 0.5, "9f86d081884c7d65"),),
        outcome=Result(
            status=200,
            answered=True,
            backend=made.plan.attempts[0].backend.name,
            attempts=1,
            **came,
        ),
    )
    await store.xadd(stream_key(PREFIX), {"d": msgspec.json.encode(entry)})


async def records(store, **given):
    return await read_records(store, PREFIX, **{"since": time.time() - 60, "limit": 1000, **given})


async def test_facts_and_decisions_are_joined_by_id_oldest_first(store, settings):
    ids = await traffic(store, settings, input_tokens=10, latency_ms=20.0)

    found = await records(store)

    assert [one.id for one in found] == sorted(ids)
    assert {one.facts.user.id for one in found} == {f"u{place}" for place in range(30)}
    assert all(one.decided.outcome.input_tokens == 10 for one in found)
    assert all(one.decided.unit == "9f86d081884c7d65" for one in found)


async def test_the_newest_within_the_limit_are_read_and_none_from_before(store, settings):
    ids = await traffic(store, settings)

    assert {one.id for one in await records(store, limit=7)} <= set(ids)
    assert len(await records(store, limit=7)) == 7
    assert await records(store, since=time.time() + 5) == []


async def test_feedback_of_several_sources_is_their_mean(store, settings):
    name, *_ = await traffic(store, settings, 2)
    fields = {"thumbs|user": "1 4", "thumbs|grader": "0.5 ", "other|user": "9 "}
    await store.hset(f"{PREFIX}feedback:{name}", mapping=fields)

    found = {one.id: one.decided.feedback for one in await records(store, feedback="thumbs")}

    assert found.pop(name) == {"thumbs": 0.75}
    assert list(found.values()) == [{}]


async def test_what_is_not_ours_in_the_streams_is_passed_over(store, settings):
    await traffic(store, settings, 3)
    for fields in ({"x": "1"}, {"i": "nope", "f": "{}"}, {"i": "0" * 28, "f": "{"}):
        await store.xadd(f"{PREFIX}facts", fields)
        await store.xadd(f"{PREFIX}decisions", fields | {"d": "{"})

    assert len(await records(store)) == 3


async def test_old_facts_are_trimmed_by_length_and_age(store, settings):
    few = msgspec.structs.replace(settings, decision_log=100)
    for _ in range(9):
        await traffic(store, few, 50)
    assert await store.xlen(f"{PREFIX}facts") < 300  # Redis trims by whole nodes of 100 entries

    await asyncio.sleep(0.1)
    await traffic(store, msgspec.structs.replace(few, decision_log_hours=1e-9), 1)
    assert await store.xlen(f"{PREFIX}facts") <= 100


async def test_nothing_is_recorded_when_it_is_switched_off(store, settings):
    for off in ({"decision_facts": 0.0}, {"decision_log": 0}):
        await traffic(store, msgspec.structs.replace(settings, **off), 5)

    assert await store.exists(f"{PREFIX}facts") == 0


async def test_a_share_of_all_requests_is_sampled():
    taken = []
    recorder = FactsRecorder(0.25, None)
    snapshot = past.compile_snapshot(Documents.of(LIVE), version=1)
    decider = Decider(lambda: snapshot, past.Stats, 2**20, sample=Spy(recorder, taken))

    for _ in range(1000):
        decider.answer(PATH, {}, past.body(), rewrite=False)

    assert 170 < len(taken) < 330
    backends = [made.plan.attempts[0].backend.name for _, made in taken]
    assert 0.3 < backends.count("small") / len(backends) < 0.7


async def test_more_than_can_wait_is_dropped_and_a_failing_store_harms_nobody():
    async def fails(_entries):
        raise ConnectionError("away")

    recorder = FactsRecorder(1, fails)
    snapshot = past.compile_snapshot(Documents.of(LIVE), version=1)
    decider = Decider(lambda: snapshot, past.Stats, 2**20, sample=recorder)
    for _ in range(MOST_WAITING + 5):
        assert decider.answer(PATH, {}, past.body(), rewrite=False)
    assert recorder.dropped == 5

    await recorder.flush(time.time() + 1)

    assert recorder.dropped == MOST_WAITING + 5


async def asked(settings, candidate, **given):
    question = Question(msgspec.Raw(json.dumps(candidate).encode()), **given)
    return await asyncio.to_thread(run, settings, question)


async def test_the_live_rules_themselves_change_nothing(store, settings):
    await make_live(settings)
    await traffic(store, settings, 40)

    found = (await asked(settings, LIVE)).comparison

    assert (found.records, found.changed_share, found.cannot_tell) == (40, 0, {})
    assert (found.recalled, found.reproduced) == (40, 40)


async def test_another_share_changes_what_it_must(store, settings):
    await make_live(settings)
    for _ in range(2):
        await traffic(store, settings, 45, input_tokens=100)

    found = await asked(settings, documents(small=100), metric="success")

    moves = {(move.before, move.after): move.n for move in found.comparison.backends}
    assert moves.keys() == {("small", "small"), ("large", "small")}
    assert found.comparison.changed == moves["large", "small"]
    assert found.comparison.cost_usd.after == pytest.approx(1e-4)
    assert "would be decided otherwise" in found.sentence
    assert found.estimates.n == 90
    assert "100 are needed" in found.estimates.candidate[0].cannot_tell


async def test_a_wrong_candidate_or_question_is_told_with_its_path(settings):
    wrong = LIVE | {"routes": {"r": {"router": {"type": "nope"}}}}
    questions = {
        "$.config.routes.r.router.type": {"config": wrong},
        "$.since": {"config": {}, "since": -1},
        "$.limit": {"config": {}, "limit": 0},
        "$": {"config": {}, "more": 1},
    }
    for path, question in questions.items():
        reply = await asyncio.to_thread(reply_to, settings, json.dumps(question).encode())
        assert (reply.problem.status, reply.problem.path) == (422, path)
    reply = await asyncio.to_thread(reply_to, settings, b"{")
    assert reply.problem.status == 400


async def test_without_redis_it_says_so():
    away = Settings.read({"POINTSMAN_REDIS_URL": "redis://127.0.0.1:1/0"})

    question = json.dumps({"config": LIVE}).encode()
    reply = await asyncio.to_thread(reply_to, away, question)

    assert (reply.problem.status, reply.problem.title) == (503, "No store")


async def exported(store, tmp_path, name):
    file = tmp_path / name
    assert await export(store, PREFIX, time.time() - 60, file) == 4
    assert [one.name for one in tmp_path.iterdir()] == [name]
    return file


async def some_decisions(store, settings):
    ids = await traffic(store, settings, 4, latency_ms=12.5, input_tokens=7)
    await store.hset(f"{PREFIX}feedback:{ids[0]}", "thumbs|user", "1 4")
    await store.xtrim(f"{PREFIX}facts", 3, approximate=False)
    return ids


async def test_parquet_is_read_back(store, settings, tmp_path):
    ids = await some_decisions(store, settings)

    table = pyarrow.parquet.read_table(await exported(store, tmp_path, "d.parquet"))

    assert table.column_names == [*COLUMNS]
    rows = {row["id"]: row for row in table.to_pylist()}
    assert set(rows) == set(ids)
    first, last = rows[ids[0]], rows[ids[-1]]
    assert first["feedback"] == [{"metric": "thumbs", "source": "user", "value": 1.0}]
    assert first["user_id"] is None, "its facts are gone"
    assert (last["user_id"], last["prompt_chars"], last["latency_ms"]) == ("u3", 11, 12.5)
    assert last["assignments"][0]["propensity"] == 0.5
    assert abs(last["at"].timestamp() - time.time()) < 60


async def test_json_lines_and_csv_have_the_same_columns(store, settings, tmp_path):
    await some_decisions(store, settings)
    lines = (await exported(store, tmp_path, "d.jsonl")).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    (tmp_path / "d.jsonl").unlink()
    with (await exported(store, tmp_path, "d.csv")).open(newline="") as file:
        cells = [*csv.DictReader(file)]

    assert [*rows[0]] == [*cells[0]] == [*COLUMNS]
    assert rows[0]["backends"] == json.loads(cells[0]["backends"])
    assert [row["id"] for row in rows] == [cell["id"] for cell in cells]


async def test_a_file_that_cannot_be_written_leaves_nothing_behind(store, settings, tmp_path):
    await some_decisions(store, settings)

    with pytest.raises(ExportError, match="No such file"):
        await export(store, PREFIX, 0, tmp_path / "none" / "d.csv")
    with pytest.raises(ExportError, match="legal are"):
        await export(store, PREFIX, 0, tmp_path / "d.xls")
    assert not [*tmp_path.iterdir()]


async def test_without_pyarrow_it_says_what_helps(store, monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ExportError, match=r"pointsman\[export\].*\.jsonl or \.csv"):
        await export(store, PREFIX, 0, tmp_path / "d.parquet")


def test_a_worker_does_without_the_statistics():
    import subprocess
    import sys

    code = "import sys, sidecar.app.worker; sys.exit('scipy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
