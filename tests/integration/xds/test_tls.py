"""Backends with https and with DNS names."""

import asyncio
import gzip
import ssl
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from sidecar.model import LIMITED, Endpoint, Health
from tests.integration.xds.gateway import BODY, backend, eventually
from tests.integration.xds.upstreams import answers
from tests.integration.xds.workers import plan

# A certificate for localhost and its authority, made for these tests.
TLS = Path(__file__).parent / "tls"


def server_context(*protocols):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "localhost.pem")
    context.set_alpn_protocols(protocols)
    return context


async def test_https_checks_the_name_and_says_it(start_gateway):
    gateway = await start_gateway(ca_file=str(TLS / "ca.pem"))
    context, names = server_context("http/1.1"), []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    a = await gateway.upstream(ssl=context)
    health = Health(path="/", interval_seconds=0.1)
    await gateway.serve(
        backend("a", a.port, "/v1", scheme="https", host="localhost", health=health)
    )
    gateway.sidecar.always(plan("a"))
    await eventually(lambda: _is_healthy(gateway))

    answer = await gateway.chat()

    assert (answer.status, answer.backend) == (200, "a")
    assert set(names) == {"localhost"}
    assert a.last.headers["host"] == "localhost"
    assert "x-forwarded-proto" not in a.last.headers


async def _is_healthy(gateway):
    return (await gateway.admin.backends())["a"].healthy


async def test_a_certificate_of_another_name_or_authority_is_refused(start_gateway):
    gateway = await start_gateway(ca_file=str(TLS / "ca.pem"))
    a = await gateway.upstream(ssl=server_context("http/1.1"))
    b = await gateway.upstream()
    await gateway.serve(
        backend("a", a.port, scheme="https", host="127.0.0.1"), backend("b", b.port)
    )
    gateway.sidecar.always(plan("a", "b"))

    answer = await gateway.chat()

    assert (answer.status, answer.backend) == (200, "b")
    assert a.requests == []


async def test_a_name_is_resolved_and_endpoints_may_mix(gateway):
    a = await gateway.upstream()
    urls = (f"http://localhost:{a.port}", f"http://127.0.0.1:{a.port}")
    await gateway.serve(backend("a", 0, endpoints=tuple(map(Endpoint, urls))))
    gateway.sidecar.always(plan("a"))

    hosts = {(await gateway.chat(), a.last.headers["host"])[1] for _ in range(20)}

    assert hosts == {f"localhost:{a.port}", f"127.0.0.1:{a.port}"}


class Http2Server:
    """Speaks HTTP/2 behind TLS; keeps headers, body and trailers of each request."""

    def __init__(self):
        self.requests, self.trailers = [], []

    async def __aenter__(self):
        context = server_context("h2")
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                self._take(connection, event)
            writer.write(connection.data_to_send())
        writer.close()

    def _take(self, connection, event):
        if isinstance(event, h2.events.RequestReceived):
            self.requests.append({name.decode(): value.decode() for name, value in event.headers})
        if isinstance(event, h2.events.TrailersReceived):
            self.trailers.append(event.headers)
        if isinstance(event, h2.events.DataReceived):
            self.requests[-1]["body"] = self.requests[-1].get("body", "") + event.data.decode()
        if isinstance(event, h2.events.StreamEnded):
            connection.send_headers(event.stream_id, [(":status", "200")], end_stream=True)


@pytest.mark.parametrize("suffix", ["", LIMITED], ids=["", "limited"])
async def test_http2_is_spoken_where_it_is_offered(start_gateway, suffix):
    gateway = await start_gateway(ca_file=str(TLS / "ca.pem"))
    plain = await gateway.upstream(answers(500))
    async with Http2Server() as server:
        fast = backend(
            "fast", server.port, "/v1", scheme="https", host="localhost", timeout_seconds=1
        )
        await gateway.serve(backend("plain", plain.port), fast)
        splice = [BODY.index(b'"any"'), 5, '"a-longer-name"']
        gateway.sidecar.always(plan("plain", "fast" + suffix, patches=[splice, splice]))

        answer = await gateway.chat(gzip.compress(BODY), headers={"content-encoding": "gzip"})

        gateway.kill_envoy()
    (request,) = server.requests
    body = BODY.decode().replace("any", "a-longer-name")
    assert (answer.status, answer.backend) == (200, "fast")
    assert (request[":scheme"], request[":authority"]) == ("https", "localhost")
    assert (request["body"], request["content-length"]) == (body, str(len(body)))
    assert server.trailers == []
