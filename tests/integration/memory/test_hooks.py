"""Guards are asked over real sockets; whatever they do, the decision gets a verdict in time."""

import asyncio
import gzip

import msgspec
import pytest
from structlog.testing import capture_logs

from sidecar import facts
from sidecar.memory.hooks import MOST_AT_ONCE, MOST_FAILURES, Guards
from sidecar.model import Guard, Hook, Pending
from tests.integration.xds.test_tls import TLS, server_context
from tests.integration.xds.upstreams import Upstream, answers, hangs, resets, response
from tests.ports import free_port

PASSED = b'{"passed": true, "confidence": 0.9}'
BODY = b"""{"model": "m", "router": {"type": "x"}, "extra": {"user": {"id": "u", "tier": "gold"}},
 "messages": [{"role": "user", "content": "\\u00e9 "}], "temperature": 1.50, "max_retries": 2}"""
REQUEST = facts.read("/v1/chat/completions?a=b", {"x-tenant-id": "acme"}, BODY)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
async def upstream():
    server = await Upstream(answers(body=PASSED)).start()
    yield server
    await server.stop()


@pytest.fixture
async def clock():
    return Clock()


@pytest.fixture
async def environ():
    return {}


@pytest.fixture
async def guards(clock, environ):
    guards = Guards(environ=environ, clock=clock)
    yield guards
    await guards.close()


def guard(port, **fields):
    return Guard(name="tox", **{"url": f"http://127.0.0.1:{port}/check", **fields})


async def test_a_guard_is_told_the_request_without_the_fields_that_steer(guards, upstream):
    answer = await guards.ask(Hook(guard(upstream.port), '{"level":3}'), REQUEST)

    assert answer == {"passed": True, "confidence": 0.9}
    asked = upstream.last
    assert (asked.method, asked.path) == ("POST", "/check")
    assert msgspec.json.decode(asked.body) == {
        "guard_id": "tox",
        "parameters": {"level": 3},
        "operation": "chat",
        "path": "/v1/chat/completions",
        "user": {"id": "u", "tenant": "acme", "tier": "gold"},
        "body": {
            "model": "m",
            "messages": [{"role": "user", "content": "é "}],
            "temperature": 1.5,
        },
    }
    assert b'"temperature": 1.50' in asked.body, "the client's own bytes"
    assert asked.headers["content-type"] == "application/json"


async def test_a_body_of_nothing_but_steering_fields_is_an_empty_object(guards, upstream):
    request = facts.read("/v1/completions", {}, b'{"router": {"type": "x"}}')

    await guards.ask(Hook(guard(upstream.port)), request)

    assert msgspec.json.decode(upstream.last.body)["body"] == {}


WRONG = {
    "a server error": answers(500, PASSED),
    "a redirect": answers(307, PASSED, location="/other"),
    "no JSON": answers(body=b"ok"),
    "no object": answers(body=b"true"),
    "no verdict": answers(body=b"{}"),
    "a verdict that is no boolean": answers(body=b'{"passed": 1}'),
    "an answer nested without end": answers(body=b'{"a":' * 10_000),
    "an answer that is no UTF-8": answers(body=b'{"passed": true, "text": "\xff"}'),
    "an answer over 64 KiB": answers(body=b'{"passed": true, "a": "%s"}' % (b"a" * 70_000)),
    "a compressed answer": answers(body=gzip.compress(PASSED), content_encoding="gzip"),
}


@pytest.mark.parametrize("on_error", ["pass", "fail"])
@pytest.mark.parametrize("respond", WRONG.values(), ids=WRONG.keys())
async def test_a_wrong_answer_counts_as_the_guard_says(guards, upstream, respond, on_error):
    upstream.respond = respond

    answer = await guards.ask(Hook(guard(upstream.port, on_error=on_error)), REQUEST)

    assert answer == {"passed": on_error == "pass", "error": "invalid"}
    assert len(upstream.requests) == 1


async def test_an_answer_without_end_is_cut_off(guards, upstream):
    async def endless(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"a" * 1000)
            await writer.drain()
            await asyncio.sleep(0)

    upstream.respond = endless

    answer = await guards.ask(Hook(guard(upstream.port, timeout_seconds=5.0)), REQUEST)

    assert answer == {"passed": False, "error": "invalid"}


async def test_a_guard_that_hangs_is_given_up_in_its_time(guards, upstream):
    upstream.respond = hangs

    answer = await guards.ask(Hook(guard(upstream.port, timeout_seconds=0.05)), REQUEST)

    assert answer == {"passed": False, "error": "timeout"}


async def test_the_time_is_for_the_whole_answer(guards, upstream):
    async def trickles(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    upstream.respond = trickles

    answer = await guards.ask(Hook(guard(upstream.port, timeout_seconds=0.1)), REQUEST)

    assert answer["error"] == "timeout"


async def test_a_guard_that_is_not_there_is_unreachable(guards):
    answer = await guards.ask(Hook(guard(free_port(), on_error="pass")), REQUEST)

    assert answer == {"passed": True, "error": "unreachable"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1\x00/", "http://[::1", "ftp://127.0.0.1/", ""])
async def test_even_a_guard_without_a_sound_url_has_a_verdict(guards, url):
    answer = await guards.ask(Hook(guard(1, url=url)), REQUEST)

    assert answer["passed"] is False
    assert answer["error"] in {"unreachable", "invalid"}


async def test_proxies_of_the_environment_are_not_for_guards(guards, upstream, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{free_port()}")
    own = Guards()

    answer = await own.ask(Hook(guard(upstream.port)), REQUEST)
    await own.close()

    assert answer["passed"] is True


async def test_a_file_of_authorities_that_is_not_there_stops_nobody(upstream, tmp_path):
    with capture_logs() as logs:
        own = Guards(ca_file=str(tmp_path / "none.pem"))

    answer = await own.ask(Hook(guard(upstream.port)), REQUEST)
    await own.close()

    assert answer["passed"] is True
    assert [line["event"] for line in logs] == ["authorities_not_read"]


@pytest.mark.parametrize(("ca_file", "error"), [(TLS / "ca.pem", None), (None, "unreachable")])
async def test_https_is_only_for_guards_whose_authority_is_trusted(ca_file, error):
    server = await Upstream(answers(body=PASSED)).start(ssl=server_context("http/1.1"))
    own = Guards(ca_file=ca_file and str(ca_file))

    hook = Hook(guard(0, url=f"https://localhost:{server.port}/", timeout_seconds=2.0))
    answer = await own.ask(hook, REQUEST)
    await own.close()
    await server.stop()

    assert answer.get("error") == error


async def test_questions_share_a_connection_and_outlive_one_that_is_closing(guards, upstream):
    ports = []

    async def respond(_, writer):
        ports.append(writer.get_extra_info("peername")[1])
        if len(ports) == 3:
            writer.transport.abort()
        else:
            writer.write(response(200, PASSED))

    upstream.respond = respond
    hook = Hook(guard(upstream.port))

    found = [await guards.ask(hook, REQUEST) for _ in range(3)]

    assert [one["passed"] for one in found] == [True, True, True]
    assert ports[0] == ports[1] == ports[2] != ports[3]


async def test_a_failing_guard_is_left_alone_and_then_tried_once(guards, upstream, clock):
    upstream.respond = answers(500)
    hook = Hook(guard(upstream.port))
    for _ in range(MOST_FAILURES):
        assert (await guards.ask(hook, REQUEST))["error"] == "invalid"

    assert await guards.ask(hook, REQUEST) == {"passed": False, "error": "unreachable"}
    assert len(upstream.requests) == MOST_FAILURES

    clock.now += 1.0
    first, second = await asyncio.gather(*(guards.ask(hook, REQUEST) for _ in range(2)))
    assert (first["error"], second["error"]) == ("invalid", "unreachable")

    clock.now += 1.0
    upstream.respond = answers(body=PASSED)
    found = [await guards.ask(hook, REQUEST) for _ in range(2)]
    assert [one["passed"] for one in found] == [True, True]


async def test_failures_count_only_in_a_row(guards, upstream):
    hook = Hook(guard(upstream.port))
    for _ in range(3):
        upstream.respond = answers(500)
        for _ in range(MOST_FAILURES - 1):
            await guards.ask(hook, REQUEST)
        upstream.respond = answers(body=PASSED)
        assert (await guards.ask(hook, REQUEST))["passed"] is True


async def test_a_guard_that_was_edited_starts_anew(guards, upstream):
    dead = Hook(guard(free_port()))
    for _ in range(MOST_FAILURES):
        await guards.ask(dead, REQUEST)

    assert (await guards.ask(Hook(guard(upstream.port)), REQUEST))["passed"] is True


async def test_the_questions_to_one_guard_at_a_time_are_bounded(guards, upstream):
    now = most = 0

    async def respond(_, writer):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        writer.write(response(200, PASSED))

    upstream.respond = respond
    hook = Hook(guard(upstream.port, timeout_seconds=10.0))

    found = await asyncio.gather(*(guards.ask(hook, REQUEST) for _ in range(MOST_AT_ONCE + 20)))

    assert all(one["passed"] for one in found)
    assert most == MOST_AT_ONCE


async def test_a_question_that_is_given_up_by_its_asker_is_no_failure(guards, upstream):
    upstream.respond = hangs
    hook = Hook(guard(upstream.port, timeout_seconds=10.0))
    for _ in range(MOST_FAILURES):
        asking = asyncio.create_task(guards.ask(hook, REQUEST))
        await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    upstream.respond = answers(body=PASSED)
    assert (await guards.ask(hook, REQUEST))["passed"] is True


async def test_a_credential_goes_along_and_is_followed_as_it_rotates(
    guards, upstream, clock, environ, tmp_path
):
    environ["KEY"] = "one\n"
    kept = tmp_path / "key"
    kept.write_text("two")
    bearer = Hook(guard(upstream.port, credential="env:KEY"))
    plain = Hook(guard(upstream.port, credential=f"file:{kept}", credential_header="x-key"))

    await guards.ask(bearer, REQUEST)
    assert upstream.last.headers["authorization"] == "Bearer one"
    await guards.ask(plain, REQUEST)
    assert upstream.last.headers["x-key"] == "two"

    kept.write_text("three")
    clock.now += 1.0
    await guards.ask(plain, REQUEST)
    assert upstream.last.headers["x-key"] == "three"


@pytest.mark.parametrize("reference", ["env:NONE", "file:/no/such", "s3cret", "env:BAD"])
async def test_without_its_credential_a_guard_is_not_asked(guards, upstream, environ, reference):
    environ["BAD"] = "s3cret\r\nx-a: b"
    with capture_logs() as logs:
        answer = await guards.ask(Hook(guard(upstream.port, credential=reference)), REQUEST)

    assert answer == {"passed": False, "error": "invalid"}
    assert upstream.requests == []
    assert "s3cret" not in str(logs)


async def test_the_log_is_told_of_failures_but_not_of_each(guards, upstream, clock):
    upstream.respond = resets
    hook = Hook(guard(upstream.port))

    with capture_logs() as logs:
        for _ in range(4):
            await guards.ask(hook, REQUEST)
        clock.now += 10.0
        await guards.ask(hook, REQUEST)

    assert [(line["event"], line["guard"], line["times"]) for line in logs] == [
        ("guard_failed", "tox", 1),
        ("guard_failed", "tox", 4),
    ]
    assert {line["log_level"] for line in logs} == {"warning"}


async def test_nothing_is_known_before_a_guard_is_asked(guards):
    hook = Hook(guard(1))

    with pytest.raises(Pending) as caught:
        guards.verdict(hook)

    assert caught.value.hook is hook
