"""A small application behind the door of the admin address, and callers of it."""

from typing import Annotated

import httpx
from fastapi import APIRouter, Depends, Request, Response

from sidecar.admin.access import Caller, require
from sidecar.admin.http import admin_app
from sidecar.admin.rate_limit import RateLimit
from sidecar.admin.token_access import TokenAccess
from sidecar.admin.token_file import TokenFile
from sidecar.admin.tokens import new_token
from sidecar.admin.tokens_write import add

ROLES = {"ann": "viewer", "bob": "admin"}


def application(access=None):
    router = APIRouter(prefix="/api/v1")

    @router.put("/thing")
    async def put(caller: Annotated[Caller, Depends(require("operator"))]) -> dict[str, int]:
        return {"version": 7}

    @router.post("/thing")
    async def post(request: Request, _caller: Annotated[Caller, Depends(require("viewer"))]):
        return Response(await request.body())

    @router.post("/broken", dependencies=[Depends(require("admin"))])
    async def broken():
        raise RuntimeError("secret")

    @router.get("/forgotten")
    async def forgotten() -> dict[str, str]:
        return {"secret": "x"}

    return admin_app(lambda _accept: (b"", ""), lambda: (True, {}), router, access=access)


def client(app, **options):
    options = {"base_url": "http://127.0.0.1:8080", **options}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 5))
    return httpx.AsyncClient(transport=transport, **options)


class Tokens:
    """An application that asks for tokens; ``ann`` is a viewer, ``bob`` an admin."""

    def __init__(self, path, per_second=1.0):
        self.path = path
        self.secrets = {name: self.add(name, role) for name, role in ROLES.items()}
        access = TokenAccess(TokenFile(path), RateLimit(per_second, lambda: self.now))
        self.now = 0.0
        self.client = client(application(access))

    def add(self, name, role):
        secret, token = new_token(name, role)
        add(self.path, token)
        return secret

    def ask(self, name, method="GET", path="/api/v1/me", **options):
        secret = self.secrets.get(name, name)
        headers = {"authorization": f"Bearer {secret}"} if name else {}
        return self.client.request(method, path, headers=headers, **options)


ROLES = {"ann": "viewer", "bob": "admin"}


def is_problem(answer, status):
    """Check that it is one, and return its detail."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.keys() == {"type", "title", "status", "detail", "faults"}
    assert problem["status"] == status
    return problem["detail"]
