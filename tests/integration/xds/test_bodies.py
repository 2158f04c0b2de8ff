"""Bodies: packed, chunked, too large, missing, announced."""

import gzip

import pytest

from tests.integration.xds.gateway import BODY, CHAT, backend
from tests.integration.xds.workers import plan


async def test_a_gzip_body_is_unpacked_decided_and_patched(gateway, model):
    packed = gzip.compress(BODY)
    gateway.sidecar.always(plan("a", patches=[[BODY.index(b'"any"'), 5, '"A"']]))

    answer = await gateway.chat(packed, headers={"content-encoding": "gzip"})

    assert answer.status == 200
    assert gateway.sidecar.seen[0][0] == BODY
    assert model.last.body == BODY.replace(b"any", b"A")
    assert "content-encoding" not in model.last.headers


async def test_a_chunked_body_is_patched_and_gets_a_length(gateway, model):
    await gateway.chat(BODY, chunked=True)

    assert model.last.body == BODY
    assert model.last.headers["content-length"] == str(len(BODY))


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1])
async def test_a_body_may_be_as_large_as_the_limit_and_no_larger(start_gateway, size):
    gateway = await start_gateway(max_body_bytes=64 * 1024)
    a = await gateway.upstream()
    await gateway.serve(backend("a", a.port))
    body = b'{"model":"any","pad":"' + b"a" * (size - 24) + b'"}'
    assert len(body) == size

    answer = await gateway.chat(body)

    if size <= 64 * 1024:
        assert answer.status == 200
    else:
        assert answer.status == 413
        assert answer.error["code"] == "body_too_large"
        assert answer.error["type"] == "invalid_request_error"


BOMBS = {
    "over the limit": b"".join(b'"%d",' % n for n in range(20_000)),
    "hundred MB": b"a" * 100_000_000,
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
async def test_a_gzip_body_that_grows_over_the_limit_gets_413(start_gateway, text):
    gateway = await start_gateway(max_body_bytes=64 * 1024)
    a = await gateway.upstream()
    await gateway.serve(backend("a", a.port))
    packed = gzip.compress(b'{"model":"any","pad":[%s""]}' % text)

    answer = await gateway.chat(packed, headers={"content-encoding": "gzip"})

    assert (answer.status, answer.error["code"]) == (413, "body_too_large")
    assert gateway.sidecar.seen == []


async def test_a_gzip_body_that_grows_a_hundredfold_is_cut(gateway, model):
    body = b'{"model":"any","pad":"' + b"a" * 1_000_000 + b'"}'

    await gateway.chat(gzip.compress(body), headers={"content-encoding": "gzip"})

    ((seen, _),) = gateway.sidecar.seen
    assert body.startswith(seen)
    assert len(seen) < len(body)


async def test_a_body_packed_otherwise_gets_415(gateway, model):
    answer = await gateway.chat(b"\x00", headers={"content-encoding": "br"})

    assert (answer.status, answer.error["code"]) == (415, "invalid_json")
    assert model.requests == []


async def test_a_request_without_a_body_gets_400(gateway, model):
    answer = await gateway.chat(b"")

    assert (answer.status, answer.error["code"]) == (400, "invalid_json")
    assert answer.headers["content-type"] == "application/json"
    assert model.requests == []


async def test_expect_100_continue_is_answered_before_the_body(gateway, model):
    async with gateway.connection() as (reader, writer):
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
        writer.write(f"{head}content-length: {len(BODY)}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 100")
        await reader.readline()
        writer.write(BODY)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_another_path_keeps_its_body_packed_and_has_no_body_limit(start_gateway):
    gateway = await start_gateway(max_body_bytes=1024)
    a = await gateway.upstream()
    await gateway.serve(backend("a", a.port, "/openai/v1"))
    body = gzip.compress(bytes(range(256))) * 2000

    answer = await gateway.ask("POST", "/v1/files", body, headers={"content-encoding": "gzip"})

    assert answer.status == 200
    assert (a.last.path, a.last.body) == ("/openai/v1/files", body)
