"""What each attempt sends upstream: body, path, credentials, time limit."""

import asyncio
import time

import pytest

from tests.integration.xds.gateway import BODY, CHAT, backend
from tests.integration.xds.upstreams import answers, hangs, resets, streams
from tests.integration.xds.workers import plan

MODEL = BODY.index(b'"any"')


def named(text):
    """A patch that names the model."""
    return [MODEL, 5, f'"{text}"']


async def test_the_plan_is_walked_and_each_attempt_gets_its_own_body(gateway):
    a, b = await gateway.upstream(answers(500)), await gateway.upstream()
    await gateway.serve(backend("a", a.port), backend("b", b.port))
    gateway.sidecar.always(plan("b", "a", patches=[named("long-name-of-b"), named("A")]))
    b.respond, a.respond = answers(429), answers()

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


@pytest.mark.parametrize("order", [("prefixed", "plain"), ("plain", "prefixed")])
async def test_the_path_is_each_backends_own(gateway, order):
    prefixed, plain = await gateway.upstream(), await gateway.upstream()
    await gateway.serve(
        backend("prefixed", prefixed.port, "/openai/v1"), backend("plain", plain.port)
    )
    first, second = (prefixed, plain) if order[0] == "prefixed" else (plain, prefixed)
    first.respond = answers(503)
    gateway.sidecar.always(plan(*order))

    answer = await gateway.ask("POST", f"{CHAT}?a=b", BODY)

    assert (answer.status, answer.backend) == (200, order[1])
    assert prefixed.last.path == "/openai/v1/chat/completions?a=b"
    assert plain.last.path == f"{CHAT}?a=b"
