"""`POST /api/v1/whatif`: answered in a process of its own, one question at a time."""

import asyncio

import httpx
import pytest

from sidecar.admin.http import admin_app
from sidecar.admin.whatif import whatif_router
from sidecar.app.whatif import Asker
from sidecar.config.documents import Documents
from sidecar.config.redis_store import RedisStore
from sidecar.settings import Settings

RULES = {"backends": {"small": {"endpoints": ["http://127.0.0.1:1"]}}}


@pytest.fixture
def settings(redis_url):
    return Settings.read({"POINTSMAN_REDIS_URL": redis_url})


def client(settings, **given):
    router = whatif_router(Asker(settings, **given))
    app = admin_app(lambda _accept: (b"", ""), lambda: (True, {}), router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def ask(http, **question):
    return await http.post("/api/v1/whatif", json={"config": RULES, **question})


async def test_an_answer_and_only_one_question_at_a_time(settings):
    store = RedisStore(settings.store_url())
    documents = Documents.of(RULES)
    await store.apply(documents, based_on=await store.load(), who="me", what="test")
    await store.close()
    async with client(settings) as http:
        first = asyncio.create_task(ask(http, since=60))
        await asyncio.sleep(0.05)
        second = await ask(http)
        answer = await first

    assert (answer.status_code, answer.json()["comparison"]["records"]) == (200, 0)
    assert answer.json()["sentence"].startswith("No request was recorded")
    assert (second.status_code, second.json()["title"]) == (429, "Busy")


async def test_what_takes_too_long_is_ended_and_the_next_question_may_come(settings):
    async with client(settings, seconds=0.01) as http:
        for _ in range(2):
            late = await ask(http)
            assert (late.status_code, late.json()["title"]) == (504, "Too much")


async def test_faults_of_the_candidate_are_listed(settings):
    wrong = RULES | {"routes": {"a": {"router": "gone"}, "b": {"order": "x"}}}
    async with client(settings) as http:
        told = await http.post("/api/v1/whatif", json={"config": wrong})

    assert (told.status_code, told.headers["content-type"]) == (422, "application/problem+json")
    assert {fault["path"].split(".")[1] for fault in told.json()["faults"]} == {"a", "b"}
