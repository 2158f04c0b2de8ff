"""Facts on their way through a real Redis: recorded, joined with decisions, asked about."""

import asyncio
import json
import time

import msgspec
import pytest

from sidecar.app.past import read_records
from sidecar.app.recording import MOST_WAITING, FactsRecorder
from sidecar.app.whatif import Question, reply_to, run
from sidecar.config.documents import Documents
from sidecar.settings import Settings
from sidecar.wire.decider import Decider
from tests.integration.whatif.workload import (
    LIVE,
    PATH,
    PREFIX,
    Spy,
    documents,
    make_live,
    traffic,
)
from tests.unit.whatif import past


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


def test_a_worker_does_without_the_statistics():
    import subprocess
    import sys

    code = "import sys, sidecar.app.worker; sys.exit('scipy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
