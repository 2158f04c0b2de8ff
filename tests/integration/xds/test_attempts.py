"""What each attempt sends upstream: body, path, credentials, time limit."""

import asyncio
import time

import pytest

from sidecar.model import LIMITED, Endpoint, Health
from tests.integration.xds.gateway import BODY, CHAT, backend, eventually
from tests.integration.xds.upstreams import answers, hangs, resets, streams
from tests.integration.xds.workers import plan

MODEL = BODY.index(b'"any"')


def named(text):
    """A patch that names the model."""
    return [MODEL, 5, f'"{text}"']


async def test_the_plan_is_walked_and_each_attempt_gets_its_own_body(gateway):
    a, b = await gateway.upstream(), await gateway.upstream(answers(429))
    await gateway.serve(backend("a", a.port), backend("b", b.port))
    gateway.sidecar.always(plan("b", "a", patches=[named("long-name-of-b"), named("A")]))

    answer = await gateway.chat()

    assert (answer.status, answer.backend) == (200, "a")
    assert b.last.body == BODY.replace(b"any", b"long-name-of-b")
    assert a.last.body == BODY.replace(b"any", b"A")


async def test_an_attempt_without_splices_gets_the_clients_body_after_one_with(gateway):
    a, b = await gateway.upstream(answers(500)), await gateway.upstream()
    await gateway.serve(backend("a", a.port), backend("b", b.port))
    gateway.sidecar.always(plan("a", "b", patches=[named("a-much-longer-name"), []]))

    answer = await gateway.chat()

    assert (answer.status, answer.backend) == (200, "b")
    assert b.last.body == BODY


async def test_several_splices_cut_and_insert(gateway):
    a = await gateway.upstream()
    await gateway.serve(backend("a", a.port))
    end = len(BODY) - 1
    gateway.sidecar.always(
        plan("a", patches=[[0, 0, " ", 1, 14, "", end, 0, ',"é":1', end, 1, "}"]])
    )

    await gateway.chat()

    assert a.last.body == ' {"messages":[],"é":1}'.encode()


@pytest.mark.parametrize("order", [("prefixed", "plain"), ("plain", "prefixed")])
async def test_the_path_is_each_backends_own(gateway, order):
    prefixed, plain = await gateway.upstream(), await gateway.upstream()
    await gateway.serve(
        backend("prefixed", prefixed.port, "/openai/v1"), backend("plain", plain.port)
    )
    {"prefixed": prefixed, "plain": plain}[order[0]].respond = answers(503)
    gateway.sidecar.always(plan(*order))

    answer = await gateway.ask("POST", f"{CHAT}?a=b", BODY)

    assert (answer.status, answer.backend) == (200, order[1])
    assert prefixed.last.path == "/openai/v1/chat/completions?a=b"
    assert plain.last.path == f"{CHAT}?a=b"


async def test_no_credential_reaches_another_backend_or_comes_from_the_client(gateway):
    gateway.environ |= {"KEY_A": "secret-a", "KEY_B": "secret-b"}
    a, b = await gateway.upstream(answers(401)), await gateway.upstream(answers(401))
    c = await gateway.upstream()
    await gateway.serve(
        backend("a", a.port, credential="env:KEY_A"),
        backend("b", b.port, credential="env:KEY_B", credential_header="X-Custom-Key"),
        backend("c", c.port),
    )
    gateway.sidecar.always(plan("a", "b", "c"))
    keys = {"authorization": "Bearer client", "api-key": "client", "x-api-key": "client"}

    answer = await gateway.chat(headers=keys | {"x-custom-key": "client"})

    def credentials(upstream):
        names = (*keys, "x-custom-key")
        return {
            name: upstream.last.headers[name] for name in names if name in upstream.last.headers
        }

    assert answer.backend == "c"
    assert credentials(a) == {"authorization": "Bearer secret-a"}
    assert credentials(b) == {"x-custom-key": "secret-b"}
    assert credentials(c) == {}


@pytest.mark.parametrize("fault", [answers(500), answers(404), resets], ids=["500", "404", "reset"])
async def test_a_fault_before_the_first_byte_leads_to_the_next_backend(gateway, fault):
    a, b = await gateway.upstream(fault), await gateway.upstream()
    await gateway.serve(backend("a", a.port), backend("b", b.port))
    gateway.sidecar.always(plan("a", "b"))

    answer = await gateway.chat()

    assert (answer.status, answer.backend) == (200, "b")
    assert answer.headers["x-pointsman-attempts"] == "2"


async def test_the_last_error_is_the_clients_when_nothing_is_left(gateway):
    a, b = await gateway.upstream(answers(500, b"a")), await gateway.upstream(answers(429, b"b"))
    await gateway.serve(backend("a", a.port), backend("b", b.port))
    gateway.sidecar.always(plan("a", "b"))

    answer = await gateway.chat()

    assert (answer.status, answer.body) == (429, b"b")


async def test_a_hang_ends_at_the_limit_of_the_plan(gateway):
    a, b = await gateway.upstream(hangs), await gateway.upstream()
    await gateway.serve(backend("a", a.port), backend("b", b.port))
    gateway.sidecar.always(plan("a", "b", try_ms=200))
    started = time.monotonic()

    answer = await gateway.chat()

    assert (answer.status, answer.backend) == (200, "b")
    assert 0.2 <= time.monotonic() - started < 1.0


class TestLimited:
    """The second cluster of a backend, with its own limit for the time to the first byte."""

    async def test_a_hang_ends_at_the_backends_own_limit_and_the_next_gets_all_its_time(
        self, gateway
    ):
        async def slow(request, writer):
            await asyncio.sleep(0.6)
            await answers()(request, writer)

        quick, patient = await gateway.upstream(hangs), await gateway.upstream(slow)
        await gateway.serve(
            backend("quick", quick.port, timeout_seconds=0.3), backend("patient", patient.port)
        )
        gateway.sidecar.always(plan("quick" + LIMITED, "patient", patches=[named("q"), named("p")]))
        started = time.monotonic()

        answer = await gateway.chat()

        assert (answer.status, answer.backend) == (200, "patient")
        assert 0.9 <= time.monotonic() - started < 2.0
        assert quick.last.body == BODY.replace(b"any", b"q")
        assert patient.last.body == BODY.replace(b"any", b"p")

    async def test_path_and_credential_are_those_of_the_backend(self, gateway):
        gateway.environ |= {"KEY_A": "secret-a", "KEY_B": "secret-b"}
        a, b = await gateway.upstream(answers(500)), await gateway.upstream()
        await gateway.serve(
            backend("a", a.port, "/v1/deep", credential="env:KEY_A"),
            backend("b", b.port, "/v1/deep", credential="env:KEY_B", timeout_seconds=1),
        )
        gateway.sidecar.always(plan("a", "b" + LIMITED))

        answer = await gateway.chat()

        assert (answer.status, answer.backend) == (200, "b")
        assert b.last.path == "/v1/deep/chat/completions"
        assert b.last.headers["authorization"] == "Bearer secret-b"
        assert b.last.headers["x-pointsman-cluster"] == "b"
        internal = {
            name for name in b.last.headers if name.startswith(("x-envoy-", "x-pointsman-"))
        }
        assert internal == {"x-pointsman-cluster"}

    async def test_a_stream_is_neither_cut_nor_held_back(self, gateway):
        go = asyncio.Event()
        a = await gateway.upstream(streams(3, 0.0, go))
        await gateway.serve(
            backend("a", a.port, timeout_seconds=0.2), backend("b", a.port, timeout_seconds=1)
        )
        gateway.sidecar.always(plan("a" + LIMITED))

        async with gateway.connection() as (reader, writer):
            writer.write(
                b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s"
                % (CHAT.encode(), len(BODY), BODY)
            )
            await reader.readuntil(b'data: {"n":0}')
            await asyncio.sleep(0.4)
            go.set()
            await reader.readuntil(b"0\r\n\r\n")

    async def test_its_error_is_openais_error(self, gateway):
        a = await gateway.upstream(hangs)
        await gateway.serve(
            backend("a", a.port, timeout_seconds=0.1), backend("b", a.port, timeout_seconds=1)
        )
        gateway.sidecar.always(plan("a" + LIMITED))

        answer = await gateway.chat()

        assert (answer.status, answer.error["code"]) == (504, "no_candidate")

    async def test_the_access_log_names_the_cluster_with_its_suffix(self, gateway):
        a, b = await gateway.upstream(hangs), await gateway.upstream()
        await gateway.serve(
            backend("a", a.port, timeout_seconds=0.1), backend("b", b.port, timeout_seconds=1)
        )
        gateway.sidecar.always(plan("a" + LIMITED, "b"))

        await gateway.chat()

        await eventually(lambda: len(gateway.sidecar.entries) == 2)
        (failed,) = gateway.sidecar.logged("attempts")
        assert failed.common_properties.upstream_cluster == "a" + LIMITED
        assert failed.response.response_code.value == 504


async def test_a_broken_host_is_ejected_and_costs_nothing_any_more(gateway):
    broken, good = await gateway.upstream(answers(500)), await gateway.upstream()
    await gateway.serve(backend("broken", broken.port), backend("good", good.port))
    gateway.sidecar.always(plan("broken", "good"))
    await eventually(lambda: _ejected(gateway, "broken"))
    asked = len(broken.requests)

    later = [await gateway.chat() for _ in range(60)]

    assert {(answer.status, answer.backend) for answer in later} == {(200, "good")}
    assert len(broken.requests) == asked < 10
    assert not (await gateway.admin.backends())["broken"].healthy
    assert (await gateway.admin.backends())["good"].healthy


async def test_one_of_several_hosts_that_is_broken_gets_no_more_traffic(gateway):
    broken, good = await gateway.upstream(answers(500)), await gateway.upstream()
    endpoints = tuple(
        Endpoint(f"http://127.0.0.1:{each.port}", zone=zone)
        for each, zone in ((broken, "z1"), (good, "z2"))
    )
    await gateway.serve(backend("both", 0, endpoints=endpoints), backend("other", good.port))
    gateway.sidecar.always(plan("both", "other"))
    await eventually(lambda: _ejected(gateway, "both"))
    asked, seen = len(broken.requests), len(good.requests)

    later = [await gateway.chat() for _ in range(40)]

    assert {(answer.status, answer.backend) for answer in later} == {(200, "both")}
    assert (len(broken.requests), len(good.requests)) == (asked, seen + 40)


async def _ejected(gateway, name):
    """Ask once more; Envoy ejects a host a moment after the answer that was one too many."""
    assert (await gateway.chat()).status == 200
    stat = await gateway.admin.get(
        f"/stats?filter=cluster.{name}.outlier_detection.ejections_active"
    )
    return stat.strip().endswith(b" 1")


async def test_an_unhealthy_host_is_left_out_until_its_health_is_back(gateway):
    state = {"status": 503}

    async def respond(request, writer):
        status = state["status"] if request.path == "/healthy" else 200
        await answers(status)(request, writer)

    a, b = await gateway.upstream(respond), await gateway.upstream()
    health = Health(path="/healthy", interval_seconds=0.05)
    await gateway.serve(backend("a", a.port, health=health), backend("b", b.port))
    gateway.sidecar.always(plan("a", "b"))

    assert (await gateway.chat()).backend == "b"
    state["status"] = 200
    await eventually(lambda: _answered_by(gateway, "a"))


async def _answered_by(gateway, name):
    return (await gateway.chat()).backend == name
