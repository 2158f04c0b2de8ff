"""What a script is told of the request, of models and of their metrics."""

import json
from zoneinfo import ZoneInfo

import pytest

from sidecar import match
from sidecar.choose import build_router, plan
from sidecar.choose.script.router import MAX_BODY
from sidecar.model import Backend, Calendar, Compilers, Price, PricePeriod
from tests.unit.choose.scripts import cloud, scripted, told
from tests.unit.choose.world import Shop, build, context, shown

pytestmark = pytest.mark.usefixtures("patient")

BETTER = """const better = ({openai}) =>
  openai.models['gpt-4o-mini'].metrics.total.requests > 0 ? ['mini', 'deep'] : ['deep', 'mini'];"""


def test_a_model_has_langdbs_shape():
    assert told("({models}) => models.find(m => m.name === 'gpt')") == {
        "model": "gpt-4o",
        "name": "gpt",
        "model_provider": "openai",
        "inference_provider": {"provider": "openai", "model_name": "gpt-4o", "endpoint": None},
        "price": {
            "per_input_token": 2.5e-6,
            "per_output_token": 1e-5,
            "per_cached_input_token": None,
            "per_cached_input_write_token": None,
            "valid_from": None,
        },
        "input_formats": ["text", "image"],
        "output_formats": ["text"],
        "capabilities": ["tools", "vision"],
        "type": "completions",
        "limits": {"max_context_size": 128_000},
        "description": "The large one",
        "parameters": {"temperature": 0.3},
        "region": "us-east-1",
        "tags": {"team": "core"},
        "is_private": False,
    }


def test_metrics_have_langdbs_shape():
    window = {
        "requests": 4,
        "errors": 1,
        "latency_ms": 80.5,
        "ttft_ms": 20,
        "tokens_per_second": 9,
        "input_tokens": 3,
        "output_tokens": 2,
    }

    found = told("({metrics}) => metrics.openai.models", stats={"gpt": {"15m": window}})

    nothing = dict.fromkeys(("latency", "ttft", "llm_usage", "tps", "error_rate"))
    nothing |= dict.fromkeys(("requests", "input_tokens", "output_tokens", "total_tokens"), 0)
    quarter = {
        "requests": 4,
        "input_tokens": 3,
        "output_tokens": 2,
        "total_tokens": 5,
        "latency": 80.5,
        "ttft": 20.0,
        "llm_usage": None,
        "tps": 9.0,
        "error_rate": 0.25,
    }
    windows = dict.fromkeys(("total", "last_15_minutes", "last_hour", "last_minute"), nothing)
    assert found == {
        "gpt-4o-mini": {"metrics": windows},
        "gpt-4o": {"metrics": {**windows, "last_15_minutes": quarter}},
    }


def test_newer_statistics_are_seen():
    router = build(
        scripted("const route = ({metrics}) => [...better(metrics)]\n" + BETTER, "mini", "deep")
    )

    first = shown(plan(router, context(stats={"mini": {"total": {"requests": 1}}})))
    second = shown(plan(router, context(stats={"deep": {"total": {"requests": 1}}})))

    assert (first["attempts"], second["attempts"]) == (["mini", "deep"], ["deep", "mini"])


@pytest.mark.parametrize(("hour", "price"), [(12.5, 9.0), (13.5, 1.0)])
def test_prices_are_those_of_the_moment(hour, price):
    noon = PricePeriod(Calendar(ZoneInfo("UTC"), hours=((720, 780, 0),)), Price(9.0))
    backend = Backend("mini", "m", "p", price=Price(1.0), price_periods=(noon,))
    script = "const route = ({models}) => ({model: 'mini', n: models[0].price.per_input_token})"
    asked = context()._replace(now=hour * 3600)

    assert shown(plan(cloud(script, [backend]), asked))["attempts"] == [{"mini": {"n": price}}]


def test_a_router_that_is_no_json_is_no_hindrance():
    body = b"""{"model": "m", "router": {"type": "script", // pasted
        "script": "() => \\
    1"}, "user": "ann"}"""
    router = build(
        scripted(
            "const route = ({body}) => body.user === 'ann' && !('router' in body) ? 'mini' : null",
            "mini",
        )
    )

    assert plan(router, context(body=body)) is not None


def test_a_model_that_several_providers_have_is_called_by_what_means_it_alone():
    twins = [
        Backend("a", "m", "p"),
        Backend("b", "m", "q"),
        Backend("c", "n", "p"),
        Backend("d", "n", "p"),
        Backend("e", "f", "p"),
        Backend("f", "g", "p"),
    ]
    router = cloud(
        "const route = ({models}) => ({model: 'a', names: models.map(m => m.model)})", twins
    )

    found = plan(router, context()).attempts[0].parameters

    assert found == {"names": ["p/m", "q/m", "c", "d", "p/f", "g"]}


def test_a_script_that_asks_for_little_is_told_little():
    names = told("p => ['body', 'headers', 'models', 'metrics'].filter(n => p[n] !== undefined)")
    few = plan(
        cloud(
            "const route = p => ({model: 'mini', n: Object.keys(JSON.parse(JSON.stringify(p)))})"
        ),
        context(),
    )

    assert names == ["body", "headers", "models", "metrics"]
    assert few.attempts[0].parameters == {"n": []}


def test_a_body_that_is_too_large_is_not_handed_over():
    body = json.dumps({"prompt": "x" * MAX_BODY}).encode()
    reads = build(scripted("const route = ({body}) => 'mini'", "mini"))
    ignores = build(scripted("const route = () => 'mini'", "mini"))

    assert plan(reads, context(body=body)) is None
    assert shown(plan(ignores, context(body=body)))["attempts"] == ["mini"]


def test_a_body_just_below_the_limit_is_read():
    body = json.dumps({"prompt": "x" * (MAX_BODY - 100)}).encode()
    router = build(
        scripted("const route = ({body}) => body.prompt.length > 9 ? 'mini' : null", "mini")
    )

    assert shown(plan(router, context(body=body)))["attempts"] == ["mini"]


def test_the_headers_that_a_script_names_are_asked_of_envoy():
    asked = []

    def accessor(subject, path):
        asked.append(subject)
        return match.compile_accessor(subject, path)

    script = """const route = ({headers}) =>
      headers['x-team'] || headers.accept || headers?.["X-Plan"] || headers.hasOwnProperty('a b')"""
    build_router(
        scripted(script, "mini"),
        name="r",
        path="routers.r",
        catalog=Shop(),
        compilers=Compilers(accessor, lambda *_: None),
        strict=True,
    )

    assert {"headers.x-team", "headers.accept", "headers.X-Plan"} <= set(asked)


def test_headers_that_are_no_text_do_not_stop_a_script():
    router = build(scripted("const route = ({headers}) => headers['x-a'] ? 'mini' : null", "mini"))

    assert plan(router, context(headers={"x-a": "\udcff"})) is not None
