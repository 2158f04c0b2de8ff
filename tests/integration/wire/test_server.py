"""A worker's gRPC server, spoken to as Envoy does."""

import asyncio
import json

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.model import Policy, Stats
from sidecar.pb import ext_proc_pb2 as pb
from sidecar.pb import health_pb2
from sidecar.wire.exchange import Decider
from sidecar.wire.server import DecisionServer

DOCUMENTS = {
    "backends": {
        "a": {"model": "model-a", "endpoints": ["http://127.0.0.1:1"], "timeout_seconds": 2},
        "b": {"model": "model-b", "endpoints": ["http://127.0.0.1:2"], "timeout_seconds": 9},
        "nested": {"endpoints": ["http://127.0.0.1:3/openai/v1/"]},
        "same": {"endpoints": ["http://127.0.0.1:4/v1"]},
    },
    "routes": {
        "gold": {
            "order": 1,
            "match": {"user.tier": "gold"},
            "router": {"type": "fallback", "targets": ["a", {"model": "b", "seed": 7}]},
        },
        "tagged": {"order": 2, "match": {"headers.x-tag": "1,2"}, "router": "a"},
        "rest": {"order": 3, "match": {"model": {"nin": ["nested", "same"]}}, "router": "b"},
    },
}
BODY = b'{"model":"x","messages":[]}'


@pytest.fixture
def snapshot():
    return compile_snapshot(Documents.of(DOCUMENTS), version=12, policy=Policy())


@pytest.fixture
async def call(snapshot, tmp_path):
    """Return a function that opens one stream, sends messages and returns the replies."""
    live = {"snapshot": snapshot, "stats": Stats()}
    decider = Decider(lambda: live["snapshot"], lambda: live["stats"], max_body_bytes=1000)
    server = DecisionServer(decider, tmp_path / "worker-0.sock", max_body_bytes=1000)
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'worker-0.sock'}") as channel:
        process = channel.stream_stream(
            "/envoy.service.ext_proc.v3.ExternalProcessor/Process",
            request_serializer=pb.ProcessingRequest.SerializeToString,
            response_deserializer=pb.ProcessingResponse.FromString,
        )
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )

        async def exchange(*messages):
            return [reply async for reply in process(iter(messages))]

        exchange.live = live
        exchange.server = server
        exchange.health = lambda: check(health_pb2.HealthCheckRequest())
        yield exchange
    await server.drain(0, 0)


def body_only(body=BODY, path="/v1/chat/completions", **headers):
    """What Envoy sends when it was told not to send headers: the body and some attributes."""
    request = pb.ProcessingRequest()
    request.request_body.body = body
    request.request_body.end_of_stream = True
    fields = request.attributes["envoy.filters.http.ext_proc"].fields
    fields["request.path"].string_value = path
    for name, value in headers.items():
        fields[f"request.headers['{name.replace('_', '-')}']"].string_value = value
    return request


def headers_first(path="/v1/chat/completions", end=False, method="POST", more=(), **headers):
    """What an Envoy of one's own sends before the body."""
    request = pb.ProcessingRequest()
    request.request_headers.end_of_stream = end
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in [(":path", path), (":method", method), *named.items(), *more]:
        header = request.request_headers.headers.headers.add()
        header.key, header.raw_value = name, value.encode()
    return request


def header_changes(reply):
    mutation = reply.request_body.response.header_mutation
    assert not mutation.remove_headers
    return {option.header.key: option.header.raw_value.decode() for option in mutation.set_headers}


def metadata(reply):
    return MessageToDict(reply.dynamic_metadata)


async def test_one_message_gets_one_answer_with_the_plan_and_the_stream_ends(call):
    (reply,) = await call(body_only(x_user_tier="gold"))

    assert reply.request_body.response.clear_route_cache
    assert reply.request_body.response.HasField("header_mutation")
    spaces = metadata(reply)
    assert spaces["pointsman.route"] == {
        "retries": "1",
        "try_ms": "9000",
        "priority_groups": [
            {"name": "0", "clusters": [{"cluster_name": "a~limited", "weight": 1}]},
            {"name": "1", "clusters": [{"cluster_name": "b", "weight": 1}]},
        ],
    }
    assert spaces["pointsman.patch"]["attempts"] == [
        [9, 3, '"model-a"'],
        [9, 3, '"model-b"', 26, 0, ',"seed":7'],
    ]
    decision = spaces["pointsman.decision"]
    assert decision.pop("id")
    assert int(decision.pop("us")) < 1_000_000
    assert decision == {
        "route": "gold",
        "strategy": "fallback",
        "version": "12",
        "operation": "chat",
        "probability": "1",
    }


async def test_with_headers_the_answer_is_the_first_attempt_and_no_plan(call):
    continued, reply = await call(headers_first(x_user_tier="gold"), body_only())

    assert continued.WhichOneof("response") == "request_headers"
    response = reply.request_body.response
    assert response.clear_route_cache
    body = response.body_mutation.body
    assert json.loads(body) == {"model": "model-a", "messages": []}
    assert header_changes(reply) == {"x-pointsman-cluster": "a", "content-length": str(len(body))}
    (space,) = metadata(reply).items()
    assert space[0] == "pointsman.decision"
    assert space[1].items() >= {"route": "gold", "backend": "a", "model": "model-a"}.items()


@pytest.mark.parametrize(
    ("model", "path"),
    [("nested", "/openai/v1/chat/completions?a=/v1"), ("same", "/v1/chat/completions?a=/v1")],
)
async def test_the_path_of_an_endpoint_replaces_the_version_in_the_requests(call, model, path):
    body = json.dumps({"model": model}).encode()

    _, reply = await call(headers_first("/v1/chat/completions?a=/v1"), body_only(body))

    assert header_changes(reply)[":path"] == path


async def test_headers_of_one_name_are_joined_as_attributes_are(call):
    _, reply = await call(headers_first(more=[("x-tag", "1"), ("x-tag", "2")]), body_only())

    assert header_changes(reply)["x-pointsman-cluster"] == "a"


async def test_a_stream_is_not_made_to_report_usage_that_nobody_would_hide(call):
    body = b'{"model":"model-b","stream":true}'

    _, reply = await call(headers_first(), body_only(body))
    (planned,) = await call(body_only(body))

    assert reply.request_body.response.body_mutation.body == body
    assert "include_usage" in str(metadata(planned)["pointsman.patch"])


async def test_clusters_that_our_own_envoy_lacks_are_there_in_anothers(call):
    call.live["stats"] = Stats(unready=frozenset({"a", "b", "nested", "same"}))

    _, reply = await call(headers_first(), body_only())
    (planned,) = await call(body_only())

    assert header_changes(reply)["x-pointsman-cluster"] == "b"
    assert planned.immediate_response.details == "no_candidate"


async def test_an_attempt_that_changes_nothing_is_an_empty_list_on_the_wire(call):
    (reply,) = await call(body_only(b'{"model":"model-b"}'))

    (attempt,) = (
        reply.dynamic_metadata.fields["pointsman.patch"]
        .struct_value.fields["attempts"]
        .list_value.values
    )
    assert attempt.WhichOneof("kind") == "list_value", "a Value of no kind aborts Envoy"


async def test_a_decided_request_without_a_body_is_refused(call):
    (reply,) = await call(headers_first(end=True))

    assert reply.immediate_response.status.code == 400
    assert reply.immediate_response.details == "invalid_json"


@pytest.mark.parametrize(
    "headers",
    [
        headers_first("/v1/models", method="GET", end=True),
        headers_first("/v1/chat/completions", method="GET"),
        headers_first("/v1/files"),
    ],
    ids=["models", "get", "path"],
)
async def test_what_is_not_decided_is_let_through_without_its_body(call, headers):
    (reply,) = await call(headers, body_only(b"not json"))

    assert reply.WhichOneof("response") == "request_headers"
    assert not metadata(reply)


async def test_an_undecided_path_is_let_through(call):
    (reply,) = await call(body_only(b"not json", "/v1/files"))

    assert reply.WhichOneof("response") == "request_body"
    assert not reply.request_body.response.clear_route_cache
    assert not metadata(reply)


async def test_a_refusal_is_openais_error_object(call):
    (reply,) = await call(body_only(b"{"))

    immediate = reply.immediate_response
    assert immediate.status.code == 400
    assert immediate.details == "invalid_json"
    error = json.loads(immediate.body)["error"]
    assert (error["code"], error["type"]) == ("invalid_json", "invalid_request_error")


async def test_a_body_over_the_limit_is_refused(call):
    (reply,) = await call(body_only(b'{"a":"' + b"x" * 2000 + b'"}'))

    assert reply.immediate_response.status.code == 413


async def test_without_rules_there_is_no_answer_so_envoy_fails_open(call):
    call.live["snapshot"] = None

    assert await call(body_only()) == []
    assert (await call.health()).status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_health_turns_before_a_draining_server_stops(call):
    assert (await call.health()).status == health_pb2.HealthCheckResponse.SERVING

    draining = asyncio.create_task(call.server.drain(notice_seconds=0.5, grace_seconds=1))
    await asyncio.sleep(0.1)

    assert (await call.health()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert await call(body_only()), "decisions go on while Envoy looks for another worker"
    await draining


async def test_an_idle_client_does_not_hold_up_the_end(call):
    await call.health()

    await asyncio.wait_for(call.server.drain(0, 60), 10)


async def test_a_successor_that_does_not_wait_keeps_its_socket(call, snapshot, tmp_path):
    path = tmp_path / "worker-0.sock"
    successor = DecisionServer(Decider(lambda: snapshot, Stats, 1000), path, max_body_bytes=1000)
    await successor.start()

    await call.server.drain(0, 0)

    _, writer = await asyncio.open_unix_connection(path)
    writer.close()
    await writer.wait_closed()
    await successor.drain(0, 0)
    assert not path.exists()


async def test_a_peer_that_says_nothing_is_closed_when_the_grace_is_over(call, tmp_path):
    reader, writer = await asyncio.open_unix_connection(tmp_path / "worker-0.sock")

    await asyncio.wait_for(call.server.drain(0, 0.1), 10)

    await asyncio.wait_for(reader.read(), 10)
    assert reader.at_eof()
    writer.close()
    await writer.wait_closed()
