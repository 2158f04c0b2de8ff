"""Requests that fail open: no decision, so the default chain, with each upstream's own model."""

import json
import random
from pathlib import Path

import pytest
import yaml

from sidecar.model import CONTROL_FIELDS
from tests.integration.xds.gateway import BODY, backend, eventually
from tests.integration.xds.upstreams import answers

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases/undecided_bodies.yaml").read_text())
MODEL = 'M"é\\'


@pytest.fixture
async def model(gateway):
    upstream = await gateway.upstream()
    await gateway.serve(backend("a", upstream.port, model=MODEL))
    return upstream


async def test_bodies_get_the_upstreams_model(gateway, model):
    wrong = {}
    for case in CASES:
        expected = case.get("becomes", case["body"]).replace(
            "MODEL", json.dumps(MODEL, ensure_ascii=False)
        )

        answer = await gateway.chat(case["body"].encode())

        assert (answer.status, answer.backend) == (200, "a")
        if model.last.body.decode() != expected:
            wrong[case["name"]] = (expected, model.last.body.decode())
    assert wrong == {}


async def test_any_object_gets_the_model_loses_what_steers_and_keeps_the_rest(gateway, model):
    draw = random.Random(7)
    for _ in range(300):
        document = {_key(draw): _value(draw, 3) for _ in range(draw.randrange(8))}
        body = json.dumps(document, indent=draw.choice([None, 2]), ensure_ascii=draw.random() < 0.5)
        kept = {name: value for name, value in document.items() if name not in CONTROL_FIELDS}

        await gateway.chat(body.encode())

        assert json.loads(model.last.body) == kept | {"model": MODEL}, body


def _key(draw):
    return draw.choice(["model", "router", "extra", "messages", "a", 'q"\\', "é", "", "Model"])


def _value(draw, depth):
    kind = draw.randrange(6 if depth else 4)
    if kind == 4:
        return [_value(draw, depth - 1) for _ in range(draw.randrange(4))]
    if kind == 5:
        return {_key(draw): _value(draw, depth - 1) for _ in range(draw.randrange(4))}
    text = "".join(draw.choices('ab"\\{}[],: é🚀\n', k=draw.randrange(12)))
    return [draw.uniform(-1e9, 1e9), draw.choice([True, False, None]), text, draw.randrange(99)][
        kind
    ]


async def test_a_very_large_body_gets_the_upstreams_model(gateway, model):
    body = b'{"t":"' + b'a\\"{' * ((8 << 20) - 16) + b'","model":"any"}'
    assert 30 << 20 < len(body) <= 32 << 20

    answer = await gateway.chat(body)

    assert answer.status == 200
    assert model.last.body == body.replace(b'"any"', json.dumps(MODEL, ensure_ascii=False).encode())


async def test_the_default_chain_is_by_priority_then_name_and_three_long(gateway):
    upstreams = {name: await gateway.upstream(answers(503)) for name in "edcba"}
    priorities = {"a": 200, "e": 1}
    await gateway.serve(
        *(backend(n, u.port, priority=priorities.get(n, 100)) for n, u in upstreams.items()),
        backend("off", 9, enabled=False, priority=0),
    )

    answer = await gateway.chat()

    assert answer.headers["x-pointsman-attempts"] == "3"
    assert {name for name, upstream in upstreams.items() if upstream.requests} == {"e", "b", "c"}
    assert json.loads(upstreams["e"].last.body)["model"] == "model-e"
    assert json.loads(upstreams["c"].last.body)["model"] == "model-c"


async def test_in_the_default_chain_each_backend_keeps_its_own_limit(gateway):
    from tests.integration.xds.upstreams import hangs

    quick, patient = await gateway.upstream(hangs), await gateway.upstream()
    await gateway.serve(
        backend("quick", quick.port, timeout_seconds=0.2, priority=1),
        backend("patient", patient.port),
    )

    answer = await gateway.chat()

    assert (answer.status, answer.backend) == (200, "patient")
    assert json.loads(quick.last.body)["model"] == "model-quick"
    assert json.loads(patient.last.body)["model"] == "model-patient"


async def test_a_dead_sidecar_leaves_the_default_chain(gateway, model):
    await gateway.sidecar.stop()

    answer = await gateway.chat()

    assert (answer.status, answer.backend) == (200, "a")
    assert "x-pointsman-decision" not in answer.headers
    assert json.loads(model.last.body)["model"] == MODEL


async def test_a_sidecar_that_comes_back_is_asked_again(gateway, model):
    await gateway.sidecar.stop()
    await gateway.chat()

    await gateway.sidecar.start()

    async def asked():
        await gateway.chat()
        return bool(gateway.sidecar.seen)

    await eventually(asked, seconds=3)
    assert json.loads(BODY)["model"] == "any"
