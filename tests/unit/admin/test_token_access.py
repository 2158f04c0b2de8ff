"""The door of the admin address with tokens, the headers of answers, and the audit log."""

import pytest
from structlog.testing import capture_logs

from tests.unit.admin.door import ROLES, Tokens, is_problem


@pytest.fixture
async def tokens(tmp_path):
    made = Tokens(tmp_path / "tokens.json")
    async with made.client:
        yield made


# ── who calls ──────────────────────────────────────────────────────────────


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
