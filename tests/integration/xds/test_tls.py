"""Backends with https and with DNS names."""

import ssl
from pathlib import Path

from sidecar.model import Endpoint, Health
from tests.integration.xds.gateway import backend, eventually
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
