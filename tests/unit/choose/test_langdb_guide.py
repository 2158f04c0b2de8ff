"""The routers of LangDB's routing guide, as they stand there, in a request."""

import pytest

from sidecar.choose import plan
from tests.unit.choose.world import build, context, shown

GUIDE = {
    "defining targets": (
        {
            "type": "optimized",
            "targets": [
                {"model": "openai/gpt-4o", "temperature": 0.7, "max_tokens": 300, "top_p": 0.95},
                {"model": "deepseek/deepseek-chat", "temperature": 0.8, "frequency_penalty": 0.5},
                {"model": "custom-model/advanced-ai", "temperature": 0.6, "max_tokens": 350},
            ],
        },
        ["deep", "gpt", "custom"],
    ),
    "customizing model parameters": (
        {
            "type": "fallback",
            "targets": [
                {"model": "openai/gpt-4o-mini", "temperature": 0.9, "max_tokens": 500},
                {"model": "deepseek/deepseek-chat", "frequency_penalty": 1},
            ],
        },
        ["mini", "deep"],
    ),
    "fallback, with the stray router field": (
        {
            "router": "router",
            "type": "fallback",
            "targets": [
                {"model": "openai/gpt-4o-mini", "temperature": 0.9, "top_p": 0.9},
                {"model": "deepseek/deepseek-chat", "presence_penalty": 0.6},
            ],
        },
        ["mini", "deep"],
    ),
    "optimized": (
        {
            "name": "fastest",
            "type": "optimized",
            "metric": "ttft",
            "targets": [
                {"model": "gpt-3.5-turbo", "temperature": 0.8, "max_tokens": 400},
                {"model": "gpt-4o-mini", "temperature": 0.9, "max_tokens": 500, "top_p": 0.9},
            ],
        },
        ["mini", "turbo"],
    ),
    "percentage": (
        {
            "name": "dynamic",
            "type": "percentage",
            "model_a": [{"model": "openai/gpt-4o-mini", "temperature": 0.9}, 0.5],
            "model_b": [{"model": "openai/gpt-4o-mini", "temperature": 0.8}, 0.5],
        },
        ["mini", "mini"],
    ),
    "latency": (
        {
            "name": "fastest_latency",
            "type": "latency",
            "targets": [
                {"model": "openai/gpt-4o-mini", "temperature": 0.9, "max_tokens": 500},
                {"model": "deepseek/deepseek-chat", "frequency_penalty": 1},
                {"model": "gemini/gemini-2.0-flash-exp", "temperature": 0.8},
            ],
        },
        ["gemini", "mini", "deep"],
    ),
    "nested, without its script": (
        {
            "type": "fallback",
            "targets": [
                {
                    "model": "router/dynamic",
                    "router": {
                        "name": "fastest",
                        "type": "optimized",
                        "metric": "ttft",
                        "targets": [
                            {"model": "gpt-3.5-turbo", "temperature": 0.8},
                            {"model": "gpt-4o-mini", "temperature": 0.9},
                        ],
                    },
                },
                {"model": "deepseek/deepseek-chat", "temperature": 0.7},
            ],
        },
        ["mini", "turbo", "deep"],
    ),
}

STATS = {
    name: {"1m": {"requests": 9, "latency_ms": latency, "ttft_ms": latency / 10}}
    for name, latency in {
        "gemini": 100, "mini": 200, "deep": 300, "gpt": 400, "turbo": 500, "custom": 600,
    }.items()
}  # fmt: skip


@pytest.mark.parametrize(("document", "backends"), GUIDE.values(), ids=GUIDE.keys())
def test_a_router_of_the_guide_runs_unchanged(document, backends):
    router = build(document, name="inline", strict=False)

    found = plan(router, context([0.3], stats=STATS))

    assert [attempt.backend.name for attempt in found.attempts] == backends
    assert all(attempt.parameters for attempt in found.attempts)
    assert router.name == document.get("name", "inline")


def test_a_stored_router_of_langdb_may_have_its_stray_fields():
    document = {
        "name": "fastest",
        "router": "router",
        "type": "optimized",
        "metrics_duration": "LastHour",
        "targets": ["mini", "deep"],
    }

    found = shown(plan(build(document), context([0.7])))

    assert found == {"attempts": ["deep", "mini"], "probability": 0.5, "strategy": "optimized"}
