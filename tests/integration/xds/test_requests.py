"""What clients send, and what Envoy makes of it before and without a decision."""

import asyncio
import itertools
import json

import h2.connection
import h2.events
import pytest

from sidecar.errors import NoCandidate
from sidecar.model import Router
from sidecar.pb import ext_proc_pb2 as pb
from sidecar.wire.refusal import refuse
from tests.integration.xds.gateway import BODY, CHAT, backend, eventually
from tests.integration.xds.upstreams import answers, hangs, streams
from tests.integration.xds.workers import plan


async def test_the_worker_gets_the_body_the_path_and_the_headers_that_rules_read(gateway):
    a = await gateway.upstream()
    await gateway.serve(backend("a", a.port), headers=("x-user-id", "x-it's"))
    sent = {"x-user-id": "u1", "x-it's": "odd", "x-other": "unread"}

    await gateway.ask("POST", f"{CHAT}?q=1", BODY, headers=sent)

    assert gateway.sidecar.seen == [
        (
            BODY,
            {
                "request.path": f"{CHAT}?q=1",
                "request.headers['x-user-id']": "u1",
                "request.headers['x-it\\'s']": "odd",
            },
        )
    ]


async def test_a_decision_shows_in_the_answers_headers(gateway, model):
    headers = (await gateway.chat()).headers

    told = {name: value for name, value in headers.items() if name.startswith("x-")}
    assert told == {
        "x-pointsman-decision": "d-1",
        "x-trace-id": "d-1",
        "x-pointsman-route": "r-1",
        "x-pointsman-strategy": "fallback",
        "x-pointsman-config-version": "7",
        "x-pointsman-attempts": "1",
        "x-pointsman-backend": "a",
        "x-model-name": "model-a",
        "x-provider-name": "test",
    }


async def test_headers_that_a_client_forges_have_no_effect(gateway, model):
    forged = {
        "x-pointsman-cluster": "evil",
        "x-pointsman-target": "https /evil",
        "x-pointsman-model": '"evil"',
        "x-pointsman-limit-ms": "1",
        "X-Pointsman-Variants": "evil",
        "x-pointsman-": "evil",
        "x-envoy-attempt-count": "9",
        "x-envoy-max-retries": "9",
        "x-envoy-upstream-rq-per-try-timeout-ms": "1",
        "x-envoy-upstream-alt-stat-name": "evil",
        "x-envoy-anything": "evil",
    }

    answer = await gateway.chat(headers=forged | {"x-pointsman-variant": "blue"})

    assert answer.backend == "a"
    ours = {k: v for k, v in model.last.headers.items() if k.startswith(("x-envoy", "x-pointsman"))}
    assert ours == {"x-pointsman-cluster": "a"}
    assert "evil" not in str(model.last)
    assert gateway.sidecar.seen[0][1]["request.headers['x-pointsman-variant']"] == "blue"


async def test_answers_of_decided_requests_come_uncompressed_so_that_tokens_can_be_read(
    gateway, model
):
    await gateway.chat(headers={"accept-encoding": "gzip"})
    assert "accept-encoding" not in model.last.headers

    await gateway.ask("GET", "/v1/files", headers={"accept-encoding": "gzip"})
    assert model.last.headers["accept-encoding"] == "gzip"


async def test_headers_that_an_upstream_forges_do_not_reach_the_client(gateway, model):
    model.respond = answers(
        x_pointsman_backend="evil", x_pointsman_anything="evil", x_model_name="evil"
    )

    answer = await gateway.chat()

    assert "evil" not in str(answer)
    assert answer.backend == "a"


async def test_an_http2_client_is_served(gateway, model):
    client = h2.connection.H2Connection()
    client.initiate_connection()
    head = {":method": "POST", ":path": CHAT, ":scheme": "http", ":authority": "x"}
    client.send_headers(1, [*head.items(), ("x-pointsman-cluster", "evil")])
    client.send_data(1, BODY, end_stream=True)
    received = {}
    async with gateway.connection() as (reader, writer):
        writer.write(client.data_to_send())
        while "ended" not in received:
            for event in client.receive_data(await reader.read(65536)):
                if isinstance(event, h2.events.ResponseReceived):
                    received |= dict(event.headers)
                if isinstance(event, h2.events.StreamEnded):
                    received["ended"] = True
            writer.write(client.data_to_send())

    assert received[b":status"] == b"200"
    assert received[b"x-pointsman-backend"] == b"a"
    assert model.last.body == BODY


async def test_models_lists_enabled_backends_and_stored_routers(gateway):
    router = Router(name="smart", type="fallback", strategy=None, targets=())
    await gateway.serve(
        backend("b", 1),
        backend("a", 1),
        backend("off", 1, enabled=False),
        routers={"smart": router},
    )

    answer = await gateway.ask("GET", "/v1/models?limit=1")

    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 0, "owned_by": owner}
            for name, owner in (("a", "test"), ("b", "test"), ("router/smart", "pointsman"))
        ],
    }


async def test_a_long_list_of_models_is_listed(gateway):
    await gateway.serve(*(backend(f"backend-{n:03}", 1) for n in range(100)))

    assert len(json.loads((await gateway.ask("GET", "/v1/models")).body)["data"]) == 100


async def test_another_path_is_neither_decided_nor_held_back(gateway, model):
    go = asyncio.Event()
    model.respond = streams(2, 0.0, go)
    async with gateway.connection() as (reader, writer):
        head = "POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head.encode() + b"5\r\nfirst\r\n")
        await asyncio.sleep(0.1)
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")
        await reader.readuntil(b'data: {"n":0}')
        go.set()
        await reader.readuntil(b"0\r\n\r\n")

    assert model.last.body == b"firstlast"
    assert gateway.sidecar.seen == []


@pytest.mark.parametrize("path", ["/v1//chat/completions", "/x/../v1/chat/completions"])
async def test_a_decided_path_cannot_be_disguised(gateway, model, path):
    await gateway.ask("POST", path, BODY)

    assert len(gateway.sidecar.seen) == 1
    assert model.last.path == CHAT


async def test_a_stream_arrives_as_it_is_made(gateway, model):
    model.respond = streams(5, 0.05)
    arrivals = []
    async with gateway.connection() as (reader, writer):
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(BODY)}\r\n\r\n"
        writer.write(head.encode() + BODY)
        for number in range(5):
            await reader.readuntil(b'data: {"n":%d}' % number)
            arrivals.append(asyncio.get_running_loop().time())

    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals)]
    assert all(0.03 < gap < 0.2 for gap in gaps)


async def test_no_backend_is_an_error_of_openais_shape(gateway):
    await gateway.serve()

    for answer in (await gateway.chat(), await gateway.ask("GET", "/v1/anything")):
        assert (answer.status, answer.error["code"]) == (503, "no_candidate")


async def test_envoys_own_errors_have_openais_shape(gateway):
    a = await gateway.upstream(hangs)
    await gateway.serve(backend("a", a.port), backend("refused", 9))
    cases = {("a",): 504, ("refused",): 503, ("unknown",): 503}

    for chain, status in cases.items():
        gateway.sidecar.always(plan(*chain, try_ms=100))
        answer = await gateway.chat()

        assert answer.status == status
        assert (answer.error["code"], answer.error["type"]) == ("no_candidate", "server_error")
        assert len(answer.error["message"]) > 30


async def test_the_workers_own_refusals_pass_unchanged(gateway, model):
    refusal = pb.ProcessingResponse.FromString(refuse(NoCandidate("nothing is left", "router")))
    gateway.sidecar.always(refusal)

    answer = await gateway.chat()

    assert answer.status == 503
    assert answer.body == refusal.immediate_response.body


async def test_the_access_log_tells_requests_and_failed_attempts(gateway):
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    body = json.dumps({"object": "chat.completion", "choices": [], "usage": usage}).encode()
    bad, good = await gateway.upstream(answers(500)), await gateway.upstream(answers(body=body))
    await gateway.serve(backend("bad", bad.port), backend("good", good.port))
    gateway.sidecar.always(plan("bad", "good"))

    await gateway.chat()

    await eventually(lambda: len(gateway.sidecar.entries) == 2)
    (failed,) = gateway.sidecar.logged("attempts")
    (request,) = gateway.sidecar.logged("requests")
    assert failed.common_properties.upstream_cluster == "bad"
    assert failed.common_properties.route_name == "decided"
    assert failed.response.response_code.value == 500
    common = request.common_properties
    assert (common.upstream_cluster, common.upstream_request_attempt_count) == ("good", 2)
    assert 0 < int(common.custom_tags["ttft_us"]) <= int(common.custom_tags["upstream_us"]) < 10**6
    assert "pointsman.decision" in common.metadata.filter_metadata
    assert "envoy.ai.token_usage" in common.metadata.typed_filter_metadata


async def test_times_in_the_access_log_are_those_of_the_last_attempt(gateway):
    async def slow(request, writer):
        await asyncio.sleep(0.3)
        await answers(500)(request, writer)

    bad, good = await gateway.upstream(slow), await gateway.upstream()
    await gateway.serve(backend("bad", bad.port), backend("good", good.port))
    gateway.sidecar.always(plan("bad", "good"))

    await gateway.chat()

    await eventually(lambda: gateway.sidecar.logged("requests"))
    (request,) = gateway.sidecar.logged("requests")
    assert request.common_properties.duration.ToMilliseconds() >= 300
    assert int(request.common_properties.custom_tags["upstream_us"]) < 100_000
