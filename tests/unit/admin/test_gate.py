"""The door of the admin address without tokens: this machine, and no page of elsewhere."""

import pytest

from tests.unit.admin.door import application, client, is_problem


@pytest.fixture
async def local():
    async with client(application()) as asking:
        yield asking


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
