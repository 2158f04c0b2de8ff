"""The door of the admin address, around a small application."""

from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, Request, Response
from structlog.testing import capture_logs

from sidecar.admin.access import Caller, require
from sidecar.admin.http import admin_app
from sidecar.admin.rate_limit import RateLimit
from sidecar.admin.token_access import TokenAccess
from sidecar.admin.token_file import TokenFile
from sidecar.admin.tokens import new_token
from sidecar.admin.tokens_write import add

JSON = {"content-type": "application/json"}


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


@pytest.fixture
async def local():
    async with client(application()) as asking:
        yield asking


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


@pytest.fixture
async def tokens(tmp_path):
    made = Tokens(tmp_path / "tokens.json")
    async with made.client:
        yield made


def is_problem(answer, status):
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.keys() == {"type", "title", "status", "detail", "faults"}
    assert problem["status"] == status
    return problem["detail"]


# ── without tokens ─────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "[::1]"]
)
async def test_this_machine_is_served_by_any_of_its_names(local, host):
    answer = await local.get("/api/v1/me", headers={"host": host})

    assert answer.json() == {"name": "local", "role": "admin", "auth": "loopback"}


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example",
        "rebound.example:8080",
        "127.0.0.1.example",
        "localhost.example",
        "127.0.0.1@rebound.example",
        "192.0.2.1",
        "0.0.0.0:8080",
        "[",
        "",
    ],
)
async def test_a_name_that_somebody_points_at_this_machine_is_refused(local, host):
    assert "POINTSMAN_TOKENS_FILE" in is_problem(
        await local.get("/api/v1/me", headers={"host": host}), 403
    )


async def test_two_host_headers_are_refused(local):
    headers = [("host", "localhost"), ("host", "rebound.example")]

    is_problem(await local.get("/api/v1/me", headers=headers), 403)


@pytest.mark.parametrize(
    "origin",
    [
        "http://elsewhere.example",
        "null",
        "",
        "http://127.0.0.1:8081",
        "http://localhost:8080",
        "http://127.0.0.1:8080.example",
        "http://127.0.0.1:8080/",
    ],
)
async def test_a_page_of_another_origin_is_refused(local, origin):
    is_problem(await local.put("/api/v1/thing", headers={"origin": origin}), 403)


async def test_a_page_of_this_origin_is_served(local):
    headers = {"origin": "http://127.0.0.1:8080"}

    assert (await local.put("/api/v1/thing", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "kind",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "text/plain; application/json"},
        {},
    ],
)
async def test_a_body_that_a_form_can_send_is_refused(local, kind):
    assert "application/json" in is_problem(
        await local.post("/api/v1/thing", content=b"{}", headers=kind), 415
    )


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/YAML", "text/yaml"]
)
async def test_json_and_yaml_are_taken(local, kind):
    answer = await local.post("/api/v1/thing", content=b"{}", headers={"content-type": kind})

    assert answer.content == b"{}"


async def test_a_streamed_body_needs_its_type_too(local):
    async def parts():
        yield b"{}"

    is_problem(await local.post("/api/v1/thing", content=parts()), 415)


async def test_what_needs_no_token_is_served_by_any_name(local):
    for path in ("/metrics", "/healthz", "/readyz"):
        answer = await local.get(path, headers={"host": "node-3.internal"})
        assert answer.status_code == 200


# ── with tokens ────────────────────────────────────────────────────────────


async def test_a_token_is_who_it_says(tokens):
    answer = await tokens.ask("ann")

    assert answer.json() == {"name": "ann", "role": "viewer", "auth": "token"}


async def test_a_role_may_do_what_those_below_it_may(tokens):
    assert (await tokens.ask("bob", "PUT", "/api/v1/thing")).status_code == 200

    told = is_problem(await tokens.ask("ann", "PUT", "/api/v1/thing"), 403)
    assert told == "This needs the role operator; ann has the role viewer."


async def test_without_a_token_nothing_below_api_is_told_not_even_what_there_is(tokens):
    for path in ("/api/v1/me", "/api/v1/forgotten", "/api/v1/nowhere", "/api/"):
        answer = await tokens.ask("", path=path)
        is_problem(answer, 401)
        assert answer.headers["www-authenticate"] == 'Bearer realm="pointsman"'


@pytest.mark.parametrize("scheme", ["Bearer {}", "bearer {}", "BEARER  {}"])
async def test_the_scheme_is_bearer_in_any_case(tokens, scheme):
    headers = {"authorization": scheme.format(tokens.secrets["ann"])}

    assert (await tokens.client.get("/api/v1/me", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "header", ["{}", "Basic {}", "Bearer", "Bearer ", "Bearer x{}", "Bearer ü"]
)
async def test_anything_else_is_401(tokens, header):
    given = header.format(tokens.secrets["ann"]).encode()

    is_problem(await tokens.client.get("/api/v1/me", headers={"authorization": given}), 401)


async def test_two_tokens_in_one_request_are_none(tokens):
    both = [("authorization", f"Bearer {tokens.secrets[name]}") for name in ROLES]

    is_problem(await tokens.client.get("/api/v1/me", headers=both), 401)


async def test_a_token_in_the_address_is_none(tokens):
    is_problem(await tokens.ask("", path=f"/api/v1/me?token={tokens.secrets['bob']}"), 401)


async def test_a_flood_of_wrong_tokens_gets_429_and_does_not_lock_out_those_who_know_one(tokens):
    statuses = [(await tokens.ask("pm_wrong")).status_code for _ in range(8)]
    assert statuses == [401] * 5 + [429] * 3

    answer = await tokens.ask("pm_wrong")
    is_problem(answer, 429)
    assert answer.headers["retry-after"] == "1"
    assert (await tokens.ask("ann")).status_code == 200

    tokens.now += 1
    assert (await tokens.ask("pm_wrong")).status_code == 401


# ── headers ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/docs", "/api/v1/me", "/api/v1/nowhere"])
async def test_every_answer_has_the_headers_that_hold_browsers_back(tokens, path):
    for name in ("bob", ""):
        headers = (await tokens.ask(name, path=path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers.get("cache-control") == ("no-store" if "/api/" in path else None)


async def test_an_endpoint_that_fails_answers_with_them_too_and_tells_nothing(tokens):
    answer = await tokens.ask("bob", "POST", "/api/v1/broken")

    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in answer.text


# ── audit ──────────────────────────────────────────────────────────────────


async def audit(tokens, *asked, **options):
    with capture_logs() as logs:
        await tokens.ask(*asked, **options)
    lines = [log for log in logs if log["event"] == "audit"]
    assert len(lines) <= 1
    return lines[0] if lines else None


async def test_a_write_is_a_line_with_who_and_what(tokens):
    line = await audit(tokens, "bob", "PUT", "/api/v1/thing?force=true&x=secret", json={"a": "b"})

    assert line == {
        "event": "audit",
        "log_level": "info",
        "who": "bob",
        "role": "admin",
        "address": "192.0.2.7",
        "method": "PUT",
        "path": "/api/v1/thing",
        "status": 200,
        "version": 7,
        "force": True,
    }


async def test_what_was_refused_is_a_line_too(tokens):
    refused = await audit(tokens, "ann", "PUT", "/api/v1/thing")
    unknown = await audit(tokens, "pm_wrong", "PUT", "/api/v1/thing")

    assert (refused["who"], refused["status"], refused["version"]) == ("ann", 403, None)
    assert (unknown["who"], unknown["status"], unknown["log_level"]) == (None, 401, "warning")
    assert "pm_wrong" not in str(unknown)


async def test_a_write_that_fails_is_a_line_without_a_version(tokens):
    line = await audit(tokens, "bob", "POST", "/api/v1/broken")

    assert (line["who"], line["status"], line["version"]) == ("bob", 500, None)


async def test_reading_is_no_line(tokens):
    assert await audit(tokens, "ann") is None
    assert await audit(tokens, "ann", "POST", "/api/v1/thing") is None
    assert await audit(tokens, "ann", "PUT", "/api/v1/nowhere") is None


async def test_a_path_cannot_look_like_another_line(tokens):
    line = await audit(tokens, "", "PUT", "/api/v1/%0Awho=bob%1b[31m" + "x" * 5000)

    assert line["path"].startswith("/api/v1/%0Awho%3Dbob%1B%5B31m")
    assert len(line["path"]) == 300
