"""`POST /api/v1/explain` with `documents`: where a request would go by rules that are not saved."""

import httpx
import pytest

from sidecar.admin.explain import explain_router
from sidecar.admin.http import admin_app
from sidecar.app.explaining import UnsavedRules
from sidecar.model import BackendStats, Stats
from tests.integration.admin.conftest import GOOD

B = {"endpoints": ["http://127.0.0.1:1"]}


@pytest.fixture
async def ask(api):
    """Return a function that asks; no worker answers, so none is disturbed."""

    async def no_worker(question, text):
        raise AssertionError("a worker was asked")

    unsaved = UnsavedRules(api.editor, lambda: Stats({"a": BackendStats(in_flight=7)}), 1000)
    router = explain_router(no_worker, unsaved.answer, trusted=True, max_body_bytes=1000)
    app = admin_app(lambda _accept: (b"", ""), lambda: (True, {}), router)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:

        async def post(documents, **question):
            question = {"request": {"body": {"model": "any"}}, "seed": 7, **question}
            return await client.post("/api/v1/explain", json=question | {"documents": documents})

        yield post


def backends(answer):
    return [attempt["backend"] for attempt in answer.json()["plan"]["attempts"]]


async def test_unsaved_rules_are_laid_over_those_of_the_store_and_not_written(ask, api):
    route = {"order": 1, "router": {"type": "fallback", "targets": ["b", "a"]}}

    answer = await ask({"backends": {"b": B}, "routes": {"new": route}})

    assert (answer.status_code, answer.json()["route"]) == (200, "new")
    assert backends(answer) == ["b", "a"]
    assert (await api.store.stamp()).version == 1
    assert backends(await ask({})) == ["a"]


async def test_null_takes_a_document_away(ask, api):
    await api.set(GOOD | {"routes": {"all": {"router": "a"}, "first": {"order": 1, "router": "a"}}})

    assert (await ask({})).json()["route"] == "first"
    assert (await ask({"routes": {"first": None}})).json()["route"] == "all"


async def test_the_statistics_are_those_of_now(ask):
    router = {"type": "least_busy", "targets": ["a", "b"]}

    answer = await ask({"backends": {"b": B}, "routes": {"all": {"router": router}}})

    assert backends(answer)[0] == "b"


async def test_unsaved_rules_that_are_wrong_are_422_with_every_fault(ask, is_problem):
    told = is_problem(await ask({"routes": {"new": {"router": "nope"}, "all": {}}}), 422)

    paths = {fault["path"] for fault in told["faults"]}
    assert paths == {"routes.new.router", "routes.all.router"}
    assert is_problem(await ask({"routs": {}}), 422)["faults"][0]["path"] == "routs"
    is_problem(await ask({"routes": []}), 422)


async def test_no_guard_that_nobody_saved_is_asked(ask, is_problem):
    told = is_problem(await ask({}, ask_guards=True), 422)
    assert told["path"] == "$.documents"
    is_problem(await ask({}, request=None, id="0" * 28), 422)


async def test_a_request_that_is_refused_is_explained_too(ask):
    answer = await ask({}, request={"body": "no json"})

    assert answer.json()["refusal"]["code"] == "invalid_json"
