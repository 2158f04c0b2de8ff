"""`POST /api/v1/explain` as scripts see it; workers answer over their sockets."""

import asyncio
import json
from functools import partial

import httpx
import pytest

from sidecar.admin.explain import explain_router
from sidecar.admin.http import admin_app
from sidecar.app.explaining import ask_workers
from sidecar.app.worker import socket_path
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.explain import Record, Records
from sidecar.model import Stats
from sidecar.wire.decider import Decider
from sidecar.wire.explainer import Explainer
from sidecar.wire.server import DecisionServer

DOCUMENTS = {
    "backends": {"a": {"endpoints": ["http://127.0.0.1:1"]}},
    "routes": {"all": {"router": "a"}},
}
JSON = {"content-type": "application/json"}
CHAT = "/v1/chat/completions"


class Node:
    """Two workers and the admin address of one node."""

    def __init__(self, folder):
        self.folder = folder
        self.snapshot = compile_snapshot(Documents.of(DOCUMENTS), version=3)
        self.records = [Records(5), Records(5)]
        self.servers = [self._server(place) for place in (0, 1)]
        self.places = [0, 1]

    def _server(self, place):
        live = (lambda: self.snapshot), Stats, 1000
        explainer = Explainer(*live, records=self.records[place])
        return DecisionServer(Decider(*live), socket_path(self.folder, place), 1000, explainer)

    def keep(self, place, seed, body=b"{}"):
        record = Record(CHAT, {}, body, 2, self.snapshot, Stats(), seed, 1.5, {})
        self.records[place].keep(record)
        return record.id

    async def post(self, question, *, trusted=True):
        ask = partial(ask_workers, self.folder, lambda: self.places)
        router = explain_router(ask, trusted=trusted, max_body_bytes=1000)
        app = admin_app(lambda _accept: (b"", ""), lambda: (True, {}), router)
        content = question if isinstance(question, bytes) else json.dumps(question)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client:
            return await client.post("/api/v1/explain", content=content, headers=JSON)


@pytest.fixture
async def node(tmp_path):
    made = Node(tmp_path)
    await asyncio.gather(*(server.start() for server in made.servers))
    yield made
    await asyncio.gather(*(server.drain(0, 0) for server in made.servers))


def is_problem(response, status):
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code == status
    assert response.json()["status"] == status
    return response.json()


@pytest.mark.parametrize("place", [0, 1])
async def test_whichever_worker_decided_explains_by_id(node, place):
    identity = node.keep(place, seed=7)

    answer = await node.post({"id": identity})

    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["route"]) == (identity, "all")


async def test_an_id_that_no_worker_knows_is_404(node):
    node.keep(0, seed=7)

    assert "last 5 decisions" in is_problem(await node.post({"id": "0" * 28}), 404)["detail"]


async def test_a_decision_whose_body_was_not_kept_is_410(node):
    identity = node.keep(1, seed=7, body=None)

    is_problem(await node.post({"id": identity}), 410)


async def test_a_new_request_is_explained_by_any_worker_that_runs(node):
    node.places = [99, 1]

    answer = await node.post({"request": {"body": {"model": "x"}}, "seed": 1})

    assert answer.json()["plan"]["attempts"][0]["backend"] == "a"


async def test_without_workers_it_is_503(node):
    node.places = [99]

    is_problem(await node.post({"request": {}}), 503)
    is_problem(await node.post({"id": "x"}), 503)


async def test_without_rules_it_is_503(node):
    node.snapshot = None

    is_problem(await node.post({"request": {}}), 503)


async def test_past_decisions_are_not_shown_where_that_is_not_allowed(node):
    identity = node.keep(0, seed=7)

    refused = is_problem(await node.post({"id": identity}, trusted=False), 403)

    assert "POINTSMAN_EXPLAIN_API" in refused["detail"]
    is_problem(await node.post({"request": {}, "ask_guards": True}, trusted=False), 403)
    assert (await node.post({"request": {}}, trusted=False)).status_code == 200


@pytest.mark.parametrize(
    ("question", "status", "path"),
    [
        (b"{", 400, "$"),
        (b"\xff", 400, "$"),
        (b"[]", 422, "$"),
        ({"id": 1}, 422, "$.id"),
        ({"request": {"path": "/nowhere"}}, 422, "$.request.path"),
        ({"request": {"body": "\x00"}, "at": "noon"}, 422, "$.at"),
        (b'{"request":{"body":' + b"[" * 900 + b"]" * 900 + b"}}", 200, None),
        (b'{"request":{"body":"' + b"x" * 2000 + b'"}}', 413, None),
    ],
)
async def test_a_wrong_question_is_told_where_it_is_wrong(node, question, status, path):
    answer = await node.post(question)

    assert answer.status_code == status
    assert answer.json().get("path") == path
