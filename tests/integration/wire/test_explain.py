"""A worker is asked why, over its own socket; and asks guards without losing its pace."""

import asyncio
import ipaddress
import json

import grpc
import msgspec
import pytest
from google.protobuf.json_format import MessageToDict

from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.explain import Records, replay
from sidecar.match import build_index
from sidecar.model import (
    FORGETFUL,
    Guard,
    Hook,
    Pending,
    Ranking,
    Route,
    Router,
    Stats,
    TakeTurn,
)
from sidecar.pb import ext_proc_pb2 as pb
from sidecar.wire.asker import Asker
from sidecar.wire.decider import Decider
from sidecar.wire.exchange import Exchange
from sidecar.wire.explainer import Explainer, ask_worker
from sidecar.wire.server import DecisionServer

DOCUMENTS = {
    "backends": {
        name: {"model": f"model-{name}", "endpoints": ["http://127.0.0.1:1"]} for name in "abc"
    },
    "routes": {
        "gold": {"order": 1, "match": {"user.tier": "gold"}, "router": "a"},
        "rest": {"order": 2, "router": {"type": "random", "targets": ["a", "b", "c"]}},
    },
}
CHAT = {"model": "x", "messages": [{"role": "user", "content": "tell me"}]}
PATH = "/v1/chat/completions"
MOST = 50_000


class Worker:
    """A worker's parts around one set of rules."""

    def __init__(self, socket, **options):
        self.snapshot = compile_snapshot(Documents.of(DOCUMENTS), version=5)
        self.records = Records(10)
        self.decider = Decider(lambda: self.snapshot, Stats, MOST, records=self.records, **options)
        shared = {name: options[name] for name in ("memory", "guards") if name in options}
        explainer = Explainer(lambda: self.snapshot, Stats, MOST, records=self.records, **shared)
        self.socket = socket
        self.server = DecisionServer(self.decider, socket, MOST, explainer)

    def feed(self, body=CHAT, source="", **headers):
        request = pb.ProcessingRequest()
        request.request_body.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = request.attributes["envoy.filters.http.ext_proc"].fields
        fields["request.path"].string_value = PATH
        if source:
            fields["source.address"].string_value = source
        for name, value in headers.items():
            fields[f"request.headers['{name.replace('_', '-')}']"].string_value = value
        return Exchange(self.decider).feed(request.SerializeToString())

    def answer(self, *arguments, **named):
        return pb.ProcessingResponse.FromString(self.feed(*arguments, **named).message)

    def decide(self, *arguments, **named):
        spaces = MessageToDict(self.answer(*arguments, **named).dynamic_metadata)
        return spaces["pointsman.decision"] | {"explain": spaces.get("pointsman.explain")}

    async def ask(self, **question):
        return await ask_worker(self.socket, json.dumps(question).encode())


@pytest.fixture
async def worker(tmp_path):
    made = Worker(tmp_path / "worker-0.sock")
    await made.server.start()
    yield made
    await made.server.drain(0, 0)


async def explained(worker, **question):
    reply = await worker.ask(**question)
    assert reply.problem is None
    return msgspec.json.decode(reply.explanation)


async def problem(worker, **question):
    return msgspec.to_builtins((await worker.ask(**question)).problem)


async def test_a_past_decision_is_explained_by_its_id_with_the_rules_of_its_time(worker):
    identity = worker.decide(x_user_tier="free")["id"]
    worker.snapshot = None

    found = await explained(worker, id=identity)

    assert (found["id"], found["config_version"]) == (identity, 5)
    assert (found["step"], found["route"]) == ("route", "rest")
    gold, rest = found["routes"]
    assert gold["why"] == {
        "subject": "user.tier",
        "op": "eq",
        "operand": "gold",
        "value": "free",
        "holds": False,
    }
    assert (rest["matched"], rest["why"]) == (True, None)
    (router,) = found["routers"]
    assert len(router["draws"]) == 2
    assert found["plan"]["probability"] == pytest.approx(1 / 3)


async def test_every_answer_can_be_made_again_from_what_is_kept(worker):
    ids = [worker.decide(x_user_tier=tier)["id"] for tier in ("gold", "free", "free")]

    assert [record.id for record in worker.records] == ids
    assert [replay(record).id for record in worker.records] == ids


async def test_a_refused_request_has_an_id_and_an_explanation(worker):
    reply = worker.answer(b"{").immediate_response
    headers = {one.header.key: one.header.raw_value.decode() for one in reply.headers.set_headers}

    found = await explained(worker, id=headers["x-pointsman-decision"])

    assert found["refusal"]["code"] == "invalid_json"
    assert (found["plan"], found["step"]) == (None, None)


async def test_an_id_that_nobody_knows_says_who_might(worker):
    unknown = await problem(worker, id="0" * 28)

    assert unknown["status"] == 404
    assert "last 10 decisions" in unknown["detail"]


async def test_a_long_body_is_decided_but_not_kept(tmp_path):
    worker = Worker(tmp_path / "s")
    worker.decider._max_body_bytes = 10**6
    await worker.server.start()
    identity = worker.decide(CHAT | {"user": "x" * 70_000})["id"]

    found = await problem(worker, id=identity)

    assert found["status"] == 410
    assert worker.records.find(identity).body is None
    await worker.server.drain(0, 0)


async def test_a_new_request_is_explained_and_leaves_nothing_behind(worker):
    asked = {"request": {"headers": {"X-User-Tier": "gold"}, "body": CHAT}, "seed": 3}
    at = "2026-01-05T12:00:00Z"

    found = await explained(worker, **asked, at=at)

    assert (found["route"], found["at"]) == ("gold", "2026-01-05T12:00:00.000Z")
    assert await explained(worker, **asked, at=at) == found
    assert len(worker.records) == 0


async def test_a_body_as_text_is_taken_as_it_is(worker):
    found = await explained(worker, request={"body": '{"model":'})

    assert found["refusal"]["code"] == "invalid_json"


@pytest.mark.parametrize(
    ("question", "status", "path"),
    [
        ({}, 422, "$"),
        ({"id": "x", "request": {}}, 422, "$"),
        ({"id": 7}, 422, "$.id"),
        ({"idd": "x"}, 422, "$"),
        ({"request": {"path": "/v1/files"}}, 422, "$.request.path"),
        ({"request": {"headers": {"a": 1}}}, 422, "$.request.headers[...]"),
        ({"request": {}, "at": "2026-01-05T12:00:00"}, 422, "$.at"),
        ({"request": {}, "seed": -1}, 422, "$.seed"),
    ],
)
async def test_a_wrong_question_is_told_where_it_is_wrong(worker, question, status, path):
    wrong = await problem(worker, **question)

    assert (wrong["status"], wrong["path"]) == (status, path)


# ── who asks on a request of his own ───────────────────────────────────────

KEY = "2bb80d537b1da3e3"  # of "secret"


@pytest.fixture
async def telling(tmp_path):
    networks = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32"))
    return Worker(tmp_path / "s", explain_to=Asker(networks, frozenset({KEY})))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"source": "10.1.2.3:4000", "x_pointsman_explain": "1"}, True),
        ({"source": "[2001:db8::7]:4000", "x_pointsman_explain": "1"}, True),
        ({"source": "[::ffff:10.1.2.3]:4000", "x_pointsman_explain": "1"}, True),
        ({"authorization": "Bearer secret", "x_pointsman_explain": "1"}, True),
        ({"authorization": "Bearer other", "x_pointsman_explain": "1"}, False),
        ({"source": "192.0.2.1:4000", "x_pointsman_explain": "1"}, False),
        ({"source": "10.1.2.3:4000", "x_pointsman_explain": "0"}, False),
        ({"source": "10.1.2.3:4000"}, False),
        ({"source": "/run/socket", "x_pointsman_explain": "1"}, False),
        ({"x_pointsman_explain": "1"}, False),
    ],
)
async def test_only_who_may_ask_is_told_why(telling, asked, told):
    decision = telling.decide(**asked)

    assert (decision["explain"] is not None) is told
    if told:
        found = json.loads(decision["explain"]["explanation"])
        assert (found["id"], found["route"]) == (decision["id"], "rest")


async def test_nobody_is_told_where_nobody_may_ask(tmp_path):
    worker = Worker(tmp_path / "s")

    assert worker.decide(source="127.0.0.1:1", x_pointsman_explain="1")["explain"] is None


async def test_a_long_explanation_is_cut_to_ascii_of_one_header(telling):
    targets = [{"model": one, "stop": "é" * 70, "n": n} for n, one in enumerate("abc" * 5)]
    body = CHAT | {"router": {"type": "random", "targets": targets}}

    decision = telling.decide(body, source="10.1.2.3:4000", x_pointsman_explain="1")
    text = decision["explain"]["explanation"]

    assert text.isascii()
    assert len(text) <= 4096
    assert json.loads(text)["cut"], text
    assert json.loads(text)["id"] == decision["id"]


async def test_a_refusal_is_explained_as_well(telling):
    reply = telling.answer(b"{", source="10.1.2.3:4000", x_pointsman_explain="1")
    headers = {
        one.header.key: one.header.raw_value.decode()
        for one in reply.immediate_response.headers.set_headers
    }

    found = json.loads(headers["x-pointsman-explain"])
    assert found["id"] == headers["x-pointsman-decision"]
    assert found["refusal"]["code"] == "invalid_json"


# ── memory and guards ──────────────────────────────────────────────────────


class Remembering:
    """A live memory that counts what it is told, and knows no verdict."""

    turn = FORGETFUL.turn
    pin = FORGETFUL.pin
    usage = FORGETFUL.usage

    def __init__(self):
        self.applied = []

    def verdict(self, hook):
        raise Pending(hook)

    def apply(self, effects):
        self.applied += effects


class Doorman:
    """A strategy that asks its guards one after the other, and goes to `b` when all agree."""

    def __init__(self, guards):
        self.hooks = [Hook(Guard(f"g{number}", "http://x")) for number in range(guards)]

    def rank(self, candidates, context):
        verdicts = [context.memory.verdict(hook) for hook in self.hooks]
        agreed = all(verdict.get("allowed") for verdict in verdicts)
        first = "b" if agreed else "a"
        order = sorted(candidates, key=lambda one: one.label != first)
        return Ranking(order, context.entropy.uniform(), (TakeTurn("door"),))


class Answering:
    """Guards that answer after a while."""

    def __init__(self, answer=None, error=None):
        self.asked = []
        self.answer = answer or {"allowed": True}
        self.error = error

    async def ask(self, hook, request):
        self.asked.append((hook.guard.name, request.model))
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return self.answer


def guarded(tmp_path, hooks=2, **options):
    worker = Worker(tmp_path / "worker-0.sock", memory=Remembering(), **options)
    catalog = worker.snapshot.catalog
    targets = tuple(catalog.leaf(name, {}) for name in "abc")
    route = Route("door", 0, Router("door", "doorman", Doorman(hooks), targets))
    worker.snapshot = msgspec.structs.replace(
        worker.snapshot, routes=build_index([route]), route_list=(route,)
    )
    return worker


async def later(worker):
    reply = worker.feed()
    assert reply.message is None
    return pb.ProcessingResponse.FromString(await reply.later)


def backend_of(answer):
    spaces = MessageToDict(answer.dynamic_metadata)
    return spaces["pointsman.route"]["priority_groups"][0]["clusters"][0]["cluster_name"]


async def test_guards_are_asked_one_after_the_other_and_then_it_is_decided(tmp_path):
    guards = Answering()
    worker = guarded(tmp_path, guards=guards)

    answer = await later(worker)

    assert backend_of(answer) == "b"
    assert guards.asked == [("g0", "x"), ("g1", "x")]
    assert worker.decider._memory.applied == [TakeTurn("door")], "once, not in every round"
    (record,) = worker.records
    assert MessageToDict(answer.dynamic_metadata)["pointsman.decision"]["id"] == record.id
    assert replay(record).plan.attempts[0].backend.name == "b"


async def test_more_guards_than_anybody_needs_are_not_asked(tmp_path):
    guards = Answering()
    worker = guarded(tmp_path, hooks=15, guards=guards)

    assert backend_of(await later(worker)) == "a"
    assert len(guards.asked) == 10


async def test_without_guards_there_is_no_verdict(tmp_path):
    assert backend_of(await later(guarded(tmp_path))) == "a"


async def test_a_guard_that_fails_unforeseen_leaves_envoy_without_an_answer(tmp_path):
    worker = guarded(tmp_path, guards=Answering(error=RuntimeError("boom")))

    assert await worker.feed().later is None


async def streamed(worker):
    request = pb.ProcessingRequest()
    request.request_body.body = json.dumps(CHAT).encode()
    fields = request.attributes["envoy.filters.http.ext_proc"].fields
    fields["request.path"].string_value = PATH
    async with grpc.aio.insecure_channel(f"unix:{worker.socket}") as channel:
        process = channel.stream_stream(
            "/envoy.service.ext_proc.v3.ExternalProcessor/Process",
            request_serializer=pb.ProcessingRequest.SerializeToString,
            response_deserializer=pb.ProcessingResponse.FromString,
        )
        return [backend_of(reply) async for reply in process(iter([request]))]


async def test_a_stream_waits_for_its_guards(tmp_path):
    worker = guarded(tmp_path, guards=Answering())
    await worker.server.start()

    backends = await streamed(worker)
    await worker.server.drain(0, 0)

    assert backends == ["b"]


class Slow(Answering):
    """Guards that answer when they are told to."""

    def __init__(self):
        super().__init__()
        self.began, self.go_on = asyncio.Event(), asyncio.Event()

    async def ask(self, hook, request):
        self.began.set()
        await self.go_on.wait()
        return await super().ask(hook, request)


async def test_a_draining_worker_finishes_streams_that_wait_for_guards(tmp_path):
    guards = Slow()
    worker = guarded(tmp_path, guards=guards)
    await worker.server.start()
    asked = asyncio.create_task(streamed(worker))
    await guards.began.wait()

    draining = asyncio.create_task(worker.server.drain(0, 60))
    await asyncio.sleep(0.05)
    assert not draining.done()
    guards.go_on.set()

    assert await asked == ["b"]
    await asyncio.wait_for(draining, 10)


async def test_an_explanation_asks_guards_only_when_told_to(tmp_path):
    guards = Answering()
    worker = guarded(tmp_path, guards=guards)
    await worker.server.start()

    quiet = await explained(worker, request={"body": CHAT})
    asked_before = len(guards.asked)
    asking = await explained(worker, request={"body": CHAT}, ask_guards=True)
    await worker.server.drain(0, 0)

    assert asked_before == 0
    assert [one["value"] for one in quiet["memory"]] == [{"error": "not asked"}] * 2
    assert quiet["plan"]["attempts"][0]["backend"] == "a"
    assert asking["plan"]["attempts"][0]["backend"] == "b"
    assert asking["plan"]["effects"] == [{"type": "TakeTurn", "key": "door"}]
    assert worker.decider._memory.applied == [], "an explanation changes nothing"
