"""Edits reach a running Envoy; nothing that is under way notices."""

import asyncio
import contextlib
import json
import socket
import stat

import pytest

from sidecar.model import Endpoint, Guard, Health
from sidecar.xds.resources import extension, socket_address
from tests.integration.xds.gateway import BODY, CHAT, backend, eventually, snapshot
from tests.integration.xds.upstreams import answers, hangs, streams
from tests.integration.xds.workers import plan


@pytest.fixture
async def following(start_gateway):
    """Run the publisher's own loop beside the test."""
    gateway = await start_gateway(ca_file="/no/such/authorities.pem")
    task = asyncio.create_task(gateway.publisher.run())
    yield gateway
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_new_backend_is_usable_when_publish_returns(gateway):
    a = await gateway.upstream()
    await gateway.serve(backend("a", a.port))

    for number in range(10):
        name = f"new-{number}"
        await gateway.publisher.publish(snapshot(backend("a", a.port), backend(name, a.port)))
        gateway.sidecar.always(plan(name))

        assert (await gateway.chat()).backend == name
        assert gateway.publisher.missing == frozenset()


async def test_the_default_chain_follows_edits(gateway):
    a = await gateway.upstream()
    await gateway.serve(backend("b", a.port))
    assert (await gateway.chat()).backend == "b"

    await gateway.publisher.publish(snapshot(backend("b", a.port), backend("a", a.port)))

    await eventually(lambda: _answered_by(gateway, "a"))


async def _answered_by(gateway, name):
    return (await gateway.chat()).backend == name


async def test_the_headers_that_rules_read_follow_edits(gateway):
    a = await gateway.upstream()
    await gateway.serve(backend("a", a.port), headers=("x-old",))

    await gateway.publisher.publish(snapshot(backend("a", a.port), headers=("x-new",)))

    async def new_header_read():
        await gateway.chat(headers={"x-old": "1", "x-new": "2"})
        return gateway.sidecar.seen[-1][1] == {
            "request.path": CHAT,
            "request.headers['x-new']": "2",
        }

    await eventually(new_header_read)


async def test_a_decision_is_waited_for_as_long_as_guards_may_take(gateway):
    a, guard = await gateway.upstream(), Guard("slow", "http://127.0.0.1:9", timeout_seconds=9.0)
    backends = [backend(name, a.port) for name in ("a", "b")]
    await gateway.serve(*backends)

    async def decide():
        await asyncio.sleep(0.8)
        return plan("b")

    gateway.sidecar.decide = lambda _body, _attributes: decide()
    assert (await gateway.chat()).backend == "a", "the default chain: Envoy did not wait"

    await gateway.publisher.publish(snapshot(*backends, guards={"slow": guard}))

    await eventually(lambda: _answered_by(gateway, "b"))


@pytest.mark.parametrize("edit", ["moved", "removed"])
async def test_a_stream_survives_an_edit_of_its_backend(following, edit):
    gateway, go = following, asyncio.Event()
    a, b = await gateway.upstream(streams(3, 0.0, go)), await gateway.upstream()
    await gateway.serve(backend("a", a.port), backend("b", b.port))
    gateway.sidecar.always(plan("a"))
    left = {"moved": [backend("a", b.port)], "removed": []}[edit]

    async with gateway.connection() as (reader, writer):
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(BODY)}\r\n\r\n"
        writer.write(head.encode() + BODY)
        await reader.readuntil(b'data: {"n":0}')
        await gateway.publisher.publish(snapshot(*left, backend("b", b.port)))
        await eventually(lambda: _gone_or_moved(gateway, edit))
        go.set()
        await reader.readuntil(b"0\r\n\r\n")


async def _gone_or_moved(gateway, edit):
    if edit == "moved":
        return (await gateway.chat()).status == 200
    return "a" not in await gateway.admin.backends()


async def test_a_removed_backend_serves_decisions_under_way_for_a_while(following):
    gateway = following
    a, b = await gateway.upstream(), await gateway.upstream()
    await gateway.serve(backend("a", a.port), backend("b", b.port))
    gateway.sidecar.always(plan("a"))

    await gateway.publisher.publish(snapshot(backend("b", b.port)))

    assert (await gateway.chat()).backend == "a"
    await eventually(lambda: _unknown(gateway, "a"))
    assert (await gateway.chat()).status == 503


async def _unknown(gateway, name):
    return name not in await gateway.admin.backends()


async def test_a_backend_that_comes_back_within_that_while_stays(following):
    gateway = following
    a = await gateway.upstream()
    await gateway.serve(backend("a", a.port))
    gateway.sidecar.always(plan("a"))
    await gateway.publisher.publish(snapshot(backend("b", a.port)))
    await gateway.publisher.publish(snapshot(backend("a", a.port)))

    await eventually(lambda: _unknown(gateway, "b"))

    assert (await gateway.chat()).backend == "a"


async def test_a_backend_that_comes_back_after_that_while_is_missing_again(following):
    gateway = following
    a, silent = await gateway.upstream(), await gateway.upstream(hangs)
    await gateway.serve(backend("a", a.port))
    await gateway.publisher.publish(snapshot(backend("a", a.port), backend("b", a.port)))
    await gateway.publisher.publish(snapshot(backend("a", a.port)))
    await eventually(lambda: _unknown(gateway, "b"))

    # Its first health check does not end, so Envoy does not let it serve yet.
    unknown = backend("b", silent.port, health=Health("/", interval_seconds=5))
    await gateway.publisher.publish(snapshot(backend("a", a.port), unknown))

    assert gateway.publisher.missing == {"b"}


async def test_a_secret_file_is_rotated_live(following):
    gateway = following
    secret = gateway.run_dir / "key"
    secret.write_text("first\n")
    a = await gateway.upstream()
    await gateway.serve(backend("a", a.port, credential=f"file:{secret}"))
    await gateway.chat()
    assert a.last.headers["authorization"] == "Bearer first"

    secret.write_text("second\n")

    async def rotated():
        await gateway.chat()
        return a.last.headers["authorization"] == "Bearer second"

    await eventually(rotated)


async def test_a_missing_secret_warns_and_lets_the_upstream_say_401(following):
    gateway = following
    a = await gateway.upstream(answers(401))
    await gateway.serve(backend("a", a.port, credential="env:NO_SUCH_KEY"))

    answer = await gateway.chat()

    assert (answer.status, answer.backend) == (401, "a")
    assert "authorization" not in a.last.headers
    assert gateway.publisher.warnings == (
        "backends.a.credential: env:NO_SUCH_KEY is not set or empty",
    )
    gateway.environ["NO_SUCH_KEY"] = "there"
    await eventually(lambda: gateway.publisher.warnings == ())


async def test_secrets_are_private_and_in_no_other_file(gateway):
    gateway.environ["KEY"] = "very-secret"
    await gateway.serve(backend("a", 1, credential="env:KEY"))

    folder = gateway.run_dir / "secrets"
    (secret,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert "very-secret" in secret.read_text()
    others = [path for path in gateway.run_dir.rglob("*") if path.is_file() and path != secret]
    assert len(others) >= 4
    assert not any(b"very-secret" in path.read_bytes() for path in others)


async def test_the_same_snapshot_again_writes_nothing(gateway):
    a = await gateway.upstream()
    await gateway.serve(backend("a", a.port))
    before = {path: path.stat().st_mtime_ns for path in gateway.run_dir.rglob("*.json")}

    await gateway.publisher.publish(snapshot(backend("a", a.port)))

    assert before == {path: path.stat().st_mtime_ns for path in gateway.run_dir.rglob("*.json")}


async def test_envoy_restarts_on_the_files_alone(gateway):
    a = await gateway.upstream()
    await gateway.serve(backend("a", a.port))
    await gateway.sidecar.stop()
    gateway.kill_envoy()

    gateway.start_envoy()

    async def answered():
        with contextlib.suppress(OSError):
            return (await gateway.chat()).backend == "a"

    await eventually(answered)


async def test_envoy_starts_before_there_are_rules_and_takes_the_first(gateway):
    gateway.start_envoy()
    await gateway.ready()
    assert (await gateway.chat()).error["code"] == "no_candidate"
    a = await gateway.upstream()

    await gateway.publisher.publish(snapshot(backend("a", a.port)))

    await eventually(lambda: _answered_by(gateway, "a"))


async def test_a_dot_in_a_name_does_not_cut_it_in_envoys_statistics(gateway):
    a = await gateway.upstream()
    await gateway.serve(backend("gemini-2.0:pro", a.port))

    found = (await gateway.admin.get("/stats/prometheus?filter=membership_total")).decode()

    assert 'envoy_cluster_name="gemini-2_0_pro"' in found


async def test_without_envoy_nothing_is_missing(gateway):
    await gateway.publisher.publish(snapshot(backend("a", 1)))

    assert gateway.publisher.missing == frozenset()
    assert gateway.missing == []


async def test_a_name_that_is_not_resolved_is_missing_and_not_in_the_default_chain(gateway):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolver = extension(
            "envoy.network.dns_resolver.cares",
            "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            resolvers=[socket_address(*silent.getsockname())],
        )
        b = await gateway.upstream()
        named = backend("a", 80, endpoints=(Endpoint("http://model.test"),))
        gateway.start_envoy(typed_dns_resolver_config=resolver)
        await gateway.ready()

        await gateway.publisher.publish(snapshot(named, backend("b", b.port)))

        assert gateway.missing == [{"a"}]
        assert gateway.publisher.missing == {"a"}
        await eventually(lambda: _answered_by(gateway, "b"))
        assert (await gateway.chat()).headers["x-pointsman-attempts"] == "1"
        gateway.sidecar.always(plan("a", "b"))
        assert (await gateway.chat()).headers["x-pointsman-attempts"] == "2"


async def test_what_envoy_refuses_is_noticed_and_named(following):
    gateway = following
    a = await gateway.upstream()
    await gateway.serve(backend("a", a.port))
    bad = backend("bad", 443, scheme="https")

    await gateway.publisher.publish(snapshot(backend("a", a.port), bad))

    await eventually(lambda: gateway.publisher.rejection)
    assert "clusters.json" in gateway.publisher.rejection
    assert "bad" in gateway.publisher.rejection
    assert (await gateway.chat()).backend == "a"
    await gateway.publisher.publish(snapshot(backend("a", a.port)))
    await eventually(lambda: gateway.publisher.rejection is None)


async def test_health_and_requests_under_way_are_those_of_real_hosts(gateway):
    go = asyncio.Event()
    a = await gateway.upstream(streams(2, 0.0, go))
    await gateway.serve(backend("a", a.port), backend("dead", 9))
    gateway.sidecar.always(plan("a"))

    pending = asyncio.create_task(gateway.chat())
    await eventually(lambda: a.requests)
    state = await gateway.admin.backends()
    go.set()
    await pending

    assert state["a"] == (True, 1, 1, "")
    assert set(state) == {"a", "dead"}
    assert json.loads(BODY)
