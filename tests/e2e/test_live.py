"""Rules edited in Redis while requests run."""

import json
import time

import httpx
import openai
import pytest

from tests.e2e.traffic import Traffic

pytestmark = pytest.mark.e2e


def test_a_first_route_written_with_hset_changes_the_next_answer(system):
    assert system.chat().headers["x-pointsman-backend"] == "small"

    system.put("routes", "first", {"order": 1, "router": "large"})
    started = time.monotonic()
    system.until(lambda: system.chat().headers["x-pointsman-backend"] == "large", "the rule")

    assert time.monotonic() - started < 5
    assert {system.chat().headers["x-pointsman-backend"] for _ in range(20)} == {"large"}


def test_version_and_history_follow_an_edit_by_hand(system):
    before = int(system.redis.get("pointsman:version"))

    system.put("routes", "first", {"order": 1, "router": "large"})
    system.until(lambda: int(system.redis.get("pointsman:version")) > before, "the version")
    system.until(
        lambda: int(system.chat().headers["x-pointsman-config-version"]) > before, "on answers"
    )

    (_, entry), *_ = system.redis.xrevrange("pointsman:history", count=1)
    assert entry["who"] == "redis"
    assert "first" in entry["config"]


def test_a_new_backend_and_its_route_lose_no_request(system):
    """Workers know the rule before Envoy knows the cluster; nobody may be sent there until then."""
    with Traffic(system, pause=0) as traffic:
        for number in range(10):
            name = f"new-{number}"
            with system.redis.pipeline() as pipe:
                pipe.hset("pointsman:backends", name, json.dumps(system.backend("large")))
                pipe.hset("pointsman:routes", "new", json.dumps({"order": 1, "router": name}))
                pipe.execute()
            system.until(lambda: system.chat().headers["x-pointsman-backend"] == name, name)  # noqa: B023
            with system.redis.pipeline() as pipe:
                pipe.hdel("pointsman:routes", "new")
                pipe.hdel("pointsman:backends", name)
                pipe.execute()
            system.until(lambda: system.chat().headers["x-pointsman-backend"] == "small", "gone")

    assert traffic.failures == []


def test_a_new_time_limit_loses_no_request(system):
    """Another limit needs another cluster, which workers must not name before Envoy has it."""

    def is_limited():
        held = f"http://{system.settings.envoy_admin}/clusters"
        return "small~limited::" in httpx.get(held).text

    with Traffic(system, pause=0) as traffic:
        for number in range(8):
            at = int(system.redis.get("pointsman:version"))
            large = system.backend("large", priority=1, timeout_seconds=20 + number)
            small = system.backend("small", priority=0, timeout_seconds=10 + number % 2 * 30)
            with system.redis.pipeline() as pipe:
                pipe.hset("pointsman:backends", "large", json.dumps(large))
                pipe.hset("pointsman:backends", "small", json.dumps(small))
                pipe.execute()
            system.until(lambda: traffic.first_with(at + 1) < float("inf"), "the new limits")  # noqa: B023

    assert traffic.failures == []
    system.put("backends", "small", system.backend("small", priority=0))
    system.until(is_limited, "the cluster with the limit")


def test_the_default_chain_follows_the_backends(system):
    documents = system.base_documents()
    documents["backends"]["large"]["priority"] = -1
    system.write(documents)

    system.until(
        lambda: system.http.get("/v1/other").headers["x-pointsman-backend"] == "large", "chain"
    )


def test_a_disabled_backend_gets_no_request(system):
    system.put("backends", "small", system.backend("small", enabled=False))

    system.until(lambda: system.chat().headers["x-pointsman-backend"] == "large", "skipped")


def test_headers_that_only_a_new_rule_reads_arrive_as_soon_as_the_rule_does(system):
    system.put(
        "routes",
        "team",
        {"order": 1, "match": {"headers.x-team": {"prefix": "ml"}}, "router": "large"},
    )

    system.until(
        lambda: system.chat(headers={"x-team": "ml-9"}).headers["x-pointsman-backend"] == "large",
        "the header",
    )
    assert system.chat(headers={"x-team": "web"}).headers["x-pointsman-backend"] == "small"


def test_each_backend_gets_its_own_credential_and_never_anothers(system, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("sk-one\n")
    two.write_text("sk-two")
    first = system.fresh_backend("canary", credential=f"file:{one}")
    second = system.fresh_backend("large", credential=f"file:{two}", credential_header="api-key")
    bare = system.fresh_backend("small")
    model = system.fresh_route(first, second, bare)
    for name in ("canary", "large"):
        system.models[name].control(status=500)

    response = system.chat(model=model, headers={"authorization": "Bearer client", "api-key": "x"})

    assert response.headers["x-pointsman-backend"] == bare
    seen = {name: dict(system.last(name).headers) for name in system.models}
    assert seen["canary"]["authorization"] == "Bearer sk-one"
    assert "api-key" not in seen["canary"]
    assert seen["large"]["api-key"] == "sk-two"
    assert "authorization" not in seen["large"]
    assert not {"authorization", "api-key"} & seen["small"].keys()


def test_a_changed_secret_rotates_live(system, tmp_path):
    secret = tmp_path / "key"
    secret.write_text("sk-old")
    model = system.fresh_route(system.fresh_backend("large", credential=f"file:{secret}"))
    system.chat(model=model)
    assert dict(system.last("large").headers)["authorization"] == "Bearer sk-old"

    secret.write_text("sk-new")

    def rotated():
        system.chat(model=model)
        return dict(system.last("large").headers)["authorization"] == "Bearer sk-new"

    system.until(rotated, "the new secret")


def test_a_base_path_replaces_v1_for_its_backend_only(system):
    groq = system.fresh_backend("canary")
    system.put(
        "backends",
        groq,
        {
            **system.backend("canary"),
            "endpoints": [f"http://{system.models['canary'].address}/openai/v1"],
        },
    )
    model = system.fresh_route(groq, "large")

    response = system.chat(model=model)

    paths = [request.path for request in system.models["canary"].requests()]
    assert paths[-1] == "/openai/v1/chat/completions"
    assert response.headers["x-pointsman-backend"] == "large", "the model has no such path: 404"
    assert system.last("large").path == "/v1/chat/completions"


def test_latency_routing_learns_who_is_faster(system):
    slow, quick = system.fresh_backend("canary"), system.fresh_backend("large")
    system.models["canary"].control(slow_first_token_ms=300)
    model = system.fresh_route(slow, quick, type="latency", explore=0.5)
    system.models["canary"].control(slow_first_token_ms=300)

    def learned():
        return {system.chat(model=model).headers["x-pointsman-backend"] for _ in range(5)} == {
            quick
        }

    system.until(learned, "the faster one")


class TestOpenAI:
    """The `openai` package, unchanged."""

    @pytest.fixture
    def client(self, system):
        with openai.OpenAI(base_url=f"{system.base}/v1", api_key="sk-client") as client:
            yield client

    def test_an_answer(self, system, client):
        answer = client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "hello"}]
        )

        assert "hello" in answer.choices[0].message.content
        assert answer.usage.completion_tokens > 0

    def test_a_stream_is_whole_and_its_tokens_are_counted(self, system, client):
        def counted():
            return system.metric(
                "gen_ai_client_token_usage_sum",
                gen_ai_token_type="output",
                gen_ai_request_model="small",
            )

        before = counted()

        stream = client.chat.completions.create(
            model="any", stream=True, messages=[{"role": "user", "content": "hello"}]
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)

        assert "hello" in text
        system.until(lambda: counted() > before, "the tokens")

    def test_an_error_is_the_packages_own(self, system, client):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(
                model="any",
                messages=[],
                extra_body={"router": {"type": "no-such-type", "targets": ["small"]}},
            )

        assert caught.value.code == "invalid_router"

    def test_models(self, system, client):
        assert {model.id for model in client.models.list()} >= {"small", "router/resilient"}


def test_a_stream_arrives_as_it_is_made(system):
    system.models["small"].control(tokens_per_second=20)
    arrivals = []
    with system.http.stream(
        "POST",
        "/v1/chat/completions",
        json={
            "model": "any",
            "stream": True,
            "messages": [{"role": "user", "content": "one two three four five six"}],
        },
    ) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                arrivals.append(time.monotonic())

    assert arrivals[-1] - arrivals[0] > 0.2
    assert len({round(arrival, 2) for arrival in arrivals}) > 3


def test_metrics_carry_the_counts(system):
    def counts():
        return (
            system.metric(
                "pointsman_decisions_total",
                route="default",
                strategy="fallback",
                backend="small",
                outcome="ok",
            ),
            system.metric("gen_ai_client_token_usage_count", gen_ai_request_model="small"),
            system.metric("pointsman_cost_usd_total", backend="priced"),
        )

    system.put(
        "backends",
        "priced",
        system.backend("large", price={"per_input_token": 1, "per_output_token": 1}),
    )
    priced = system.fresh_route("priced")
    system.until(lambda: counts()[0] > 0, "the first counts")
    time.sleep(0.5)
    decisions, tokens, cost = counts()

    for _ in range(10):
        system.chat()
    system.chat(model=priced)

    system.until(lambda: counts()[0] == decisions + 10, "ten decisions")
    assert counts()[1] == tokens + 20
    system.until(lambda: counts()[2] > cost, "the cost")


@pytest.mark.parametrize(("asked", "seen"), [(None, 0), (False, 0), (True, 1)])
def test_only_clients_that_ask_for_usage_see_its_chunk(system, asked, seen):
    options = {} if asked is None else {"stream_options": {"include_usage": asked}}

    response = system.chat(stream=True, **options)

    chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line[6:7] == "{"]
    assert sum(not chunk["choices"] for chunk in chunks) == seen
    assert response.text.rstrip().endswith("data: [DONE]")
    assert system.last("small").json()["stream_options"] == {"include_usage": asked is not False}
