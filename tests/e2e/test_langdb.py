"""LangDB's routers as its guide writes them: comments, continued lines, stray fields and all."""

import json

import pytest

from tests.e2e.system import System

pytestmark = pytest.mark.e2e

MODELS = {
    "openai/gpt-4o": "small",
    "openai/gpt-4o-mini": "small",
    "openai/gpt-3.5-turbo": "small",
    "deepseek/deepseek-chat": "large",
    "custom-model/advanced-ai": "large",
    "gemini/gemini-2.0-flash-exp": "large",
    "bedrock/nova-lite": "canary",
    "bedrock/nova-pro": "canary",
}

FALLBACK = r"""{
    "model": "router/dynamic",
    "messages": [{"role": "user", "content": "What is the formula of a square plot?"}],
    "router": {
        "router": "router",
        "type": "fallback", // Type: fallback/script/optimized/percentage/latency
        "targets": [
            {"model": "openai/gpt-4o-mini", "temperature": 0.9, "max_tokens": 500, "top_p": 0.9},
            {"model": "deepseek/deepseek-chat", "frequency_penalty": 1, "presence_penalty": 0.6}
        ]
    },
    "stream": false
}"""
SCRIPT = r"""{
    "model": "router/dynamic",
    "messages": [{"role": "user", "content": "hello"}],
    "router": {
        "name": "cheapest_script_execution",
        "type": "script",
        "script": "const route = ({ body, headers, models, metrics }) => { \
            let cheapest_open_ai_model = models \
                .filter(m => m.inference_provider.provider === 'bedrock') \
                .filter(m => m.type === 'completions') \
                .sort((a, b) => a.price.per_input_token - b.price.per_input_token)[0]; \
            return { model: cheapest_open_ai_model.model, temperature: 0.7, top_p: 0.95 }; \
        };"
    }
}"""
NESTED = r"""{
    "model": "router/dynamic",
    "messages": [{"role": "user", "content": "hello"}],
    "router": {
        "type": "fallback",
        "targets": [
            {
                "model": "router/dynamic",
                "router": {
                    "name": "cheapest_script_execution",
                    "type": "script",
                    "script": "const route = ({ models }) => models \
                        .filter(m => m.inference_provider.provider === 'PROVIDER') \
                        .sort((a, b) => a.price.per_input_token - b.price.per_input_token) \
                        [0]?.model;"
                }
            },
            {
                "model": "router/dynamic",
                "router": {
                    "name": "fastest",
                    "type": "optimized",
                    "metric": "ttft",
                    "targets": [{"model": "gpt-3.5-turbo", "temperature": 0.8, "max_tokens": 400}]
                }
            },
            {"model": "deepseek/deepseek-chat", "temperature": 0.7, "max_tokens": 300}
        ]
    },
    "stream": false
}"""
PERCENTAGE = """{"model": "router/dynamic", "router": {
    "name": "dynamic",
    "type": "percentage",
    "model_a": [{"model": "openai/gpt-4o-mini", "temperature": 0.9, "max_tokens": 500}, 0.5],
    "model_b": [{"model": "openai/gpt-4o-mini", "temperature": 0.8, "max_tokens": 400}, 0.5]
}}"""
LATENCY = """{"model": "router/dynamic", "router": {
    "name": "fastest_latency",
    "type": "latency",
    "targets": [
      {"model": "openai/gpt-4o-mini", "temperature": 0.9, "max_tokens": 500, "top_p": 0.9},
      {"model": "deepseek/deepseek-chat", "frequency_penalty": 1, "presence_penalty": 0.6},
      {"model": "gemini/gemini-2.0-flash-exp", "temperature": 0.8, "max_tokens": 400}
    ]
}}"""


@pytest.fixture(scope="module")
def langdb(tmp_path_factory):
    """A system whose backends are called like the models of the guide."""
    system = System(tmp_path_factory.mktemp("langdb"), inline_scripts="allow")
    try:
        yield system.start(any_model=True)
    finally:
        system.stop()


@pytest.fixture
def ask(langdb):
    langdb.write({"backends": dict(backends(langdb))})
    name = "bedrock/nova-lite"
    langdb.until(lambda: langdb.chat(model=name).headers["x-pointsman-route"] == "(model)", name)
    langdb.calm()
    return lambda text: langdb.post(text.encode())


def backends(system):
    for place, (name, served) in enumerate(MODELS.items()):
        provider, _, model = name.partition("/")
        price = {"per_input_token": (10 - place) * 1e-7}
        fields = {"model": model, "provider": provider, "price": price}
        yield model, system.backend(served) | fields


def test_a_fallback_with_a_comment_and_a_stray_field(langdb, ask):
    response = ask(FALLBACK)

    assert response.headers["x-pointsman-backend"] == "gpt-4o-mini"
    sent = langdb.last("small").json()
    assert sent == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "What is the formula of a square plot?"}],
        "stream": False,
        "temperature": 0.9,
        "max_tokens": 500,
        "top_p": 0.9,
    }


def test_a_script_over_many_lines(langdb, ask):
    response = ask(SCRIPT)

    assert response.headers["x-pointsman-backend"] == "nova-pro", "the cheaper one of bedrock's"
    assert langdb.last("canary").json()["top_p"] == 0.95


@pytest.mark.parametrize(
    ("provider", "backend"), [("bedrock", "nova-pro"), ("nobody", "gpt-3.5-turbo")]
)
def test_a_script_in_a_fallback_falls_through_when_it_finds_nothing(ask, provider, backend):
    response = ask(NESTED.replace("PROVIDER", provider))

    assert response.headers["x-pointsman-backend"] == backend
    assert response.headers["x-pointsman-route"] == "(inline)"


def test_pairs_of_percentage_keep_their_own_parameters(langdb, ask):
    for _ in range(8):
        assert ask(PERCENTAGE).headers["x-pointsman-strategy"] == "percentage"

    sent = [seen.json() for seen in langdb.models["small"].requests()]
    assert {(one["temperature"], one["max_tokens"]) for one in sent} <= {(0.9, 500), (0.8, 400)}


def test_latency_ranks_all_three(ask):
    assert ask(LATENCY).headers["x-pointsman-strategy"] == "latency"


def test_the_guides_router_may_be_stored_as_it_is_written(langdb, ask):
    text = json.dumps(json.loads(SCRIPT.replace("\\\n", " "))["router"])
    pasted = text.replace("models   ", "models \\\n")
    assert "\\\n" in pasted
    langdb.redis.hset("pointsman:routers", "cheapest", pasted)

    langdb.until(
        lambda: langdb.chat(model="router/cheapest").headers["x-pointsman-strategy"] == "script",
        "the stored script",
    )
