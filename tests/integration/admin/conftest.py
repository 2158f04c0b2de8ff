"""The editing API in this process, on a real Redis."""

import functools
import json

import httpx
import pytest

from sidecar.admin.access import Caller
from sidecar.admin.config import config_router
from sidecar.admin.documents import documents_router
from sidecar.admin.experiments import actions_router
from sidecar.admin.gate import LoopbackAccess
from sidecar.admin.http import admin_app
from sidecar.config.documents import Documents
from sidecar.config.edits import Editor
from sidecar.config.redis_store import RedisStore
from sidecar.model import Policy

GOOD = {
    "backends": {"a": {"endpoints": ["http://127.0.0.1:1"]}},
    "routes": {"all": {"router": "a"}},
}


class Somebody(LoopbackAccess):
    """Whoever calls is `caller`."""

    caller_now = Caller("ann", "admin", "loopback")

    def caller(self, scope, headers):
        return self.caller_now


class Forward:
    """Stands for the editor of the test that runs: the application takes long to make."""

    editor = None

    def __getattr__(self, name):
        return getattr(self.editor, name)


FORWARD, ACCESS = Forward(), Somebody()


@functools.cache
def application():
    routers = config_router, actions_router, documents_router
    made = (router(FORWARD) for router in routers)
    return admin_app(lambda _accept: (b"", ""), lambda: (True, {}), *made, access=ACCESS)


class Api:
    """Calls the API; `store` is what it edits."""

    def __init__(self, url):
        self.store = RedisStore(url)
        self.editor = FORWARD.editor = Editor(self.store, Policy())
        self.be("ann", "admin")
        transport = httpx.ASGITransport(application())
        self.http = httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1")

    def be(self, name, role):
        ACCESS.caller_now = Caller(name, role, "loopback")

    async def set(self, documents):
        return await self.store.apply(
            Documents.of(documents), based_on=None, who="test", what="set"
        )

    async def call(self, method, path, document=None, *, content=None, **headers):
        """Call it; header names have underscores for hyphens."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if document is not None:
            content = json.dumps(document)
        if content is not None:
            headers = {"content-type": "application/json"} | headers
        return await self.http.request(method, path, content=content, headers=headers)

    async def get(self, path, **headers):
        return await self.call("GET", path, **headers)

    async def put(self, path, document=None, **more):
        return await self.call("PUT", path, document, **more)

    async def post(self, path, document=None, **more):
        return await self.call("POST", path, document, **more)

    async def delete(self, path, **headers):
        return await self.call("DELETE", path, **headers)

    async def close(self):
        await self.http.aclose()
        self.editor.close()
        await self.store.close()


@pytest.fixture
async def api(redis_url):
    """Return the API over `GOOD`, which is version 1."""
    made = Api(redis_url)
    await made.set(GOOD)
    yield made
    await made.close()


@pytest.fixture
async def lone_api(redis_server):
    """Return the API over a Redis of its own, `lone_api.redis`, that may be stopped."""
    made = Api(redis_server.url)
    made.redis = redis_server
    await made.set(GOOD)
    yield made
    await made.close()


@pytest.fixture
def is_problem():
    """Return a check that an answer is a problem with a status; it returns the problem."""

    def check(answer, status):
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        told = answer.json()
        assert told["status"] == status
        assert {"type", "title", "detail", "faults"} <= told.keys()
        return told

    return check
