"""Answers of Envoy's admin."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.xds.envoy_admin import AdminUnreachable, EnvoyAdmin, _parsed
from tests.ports import free_port


@given(st.lists(st.binary(min_size=1)))
def test_chunks_are_joined(chunks):
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"

    assert _parsed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body) == (
        200,
        b"".join(chunks),
    )


@given(st.binary())
def test_a_body_that_is_not_chunked_is_taken_as_it_is(body):
    assert _parsed(b"HTTP/1.1 404 X\r\ncontent-length: 1\r\n\r\n" + body) == (404, body)


async def test_nobody_listening_is_unreachable():
    with pytest.raises(AdminUnreachable):
        await EnvoyAdmin("127.0.0.1", free_port()).get("/ready")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense",
        b"HTTP/1.1 503 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz",
    ],
    ids=["nothing", "nonsense", "503", "broken chunk"],
)
async def test_an_answer_that_is_none_is_unreachable(answer):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        admin = EnvoyAdmin("127.0.0.1", server.sockets[0].getsockname()[1])
        with pytest.raises(AdminUnreachable):
            await admin.backends()


async def test_silence_is_unreachable():
    left = asyncio.Event()

    async def serve(reader, writer):
        await reader.read()
        writer.close()
        left.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        admin = EnvoyAdmin("127.0.0.1", server.sockets[0].getsockname()[1], timeout_seconds=0.05)
        with pytest.raises(AdminUnreachable):
            await admin.get("/ready")
        await left.wait()


@pytest.mark.parametrize(
    ("hosts", "healthy", "reason"),
    [
        ([{}], True, ""),
        ([{"failed_outlier_check": True}, {}], True, ""),
        ([{"failed_outlier_check": True}], False, "ejected for a while"),
        (
            [{"failed_active_health_check": True, "failed_outlier_check": True}],
            False,
            "health check fails",
        ),
        ([{"pending_active_hc": True}], False, "first health check"),
        ([], False, "not resolved"),
    ],
    ids=str,
)
async def test_a_backend_without_a_host_that_takes_traffic_has_a_reason(hosts, healthy, reason):
    place = {"socket_address": {"address": "10.0.0.1", "port_value": 80}}
    statuses = [{"address": place, "health_status": health} for health in hosts]
    listing = {"cluster_statuses": [{"name": "small", "host_statuses": statuses}]}
    body = msgspec.json.encode(listing)

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        admin = EnvoyAdmin("127.0.0.1", server.sockets[0].getsockname()[1])
        found = (await admin.backends())["small"]

    assert found.healthy is healthy
    assert reason in found.reason
    assert bool(found.reason) is not healthy
