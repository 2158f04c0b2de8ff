"""A simulated model for each test, from one process per module."""

from collections.abc import Iterator

import openai
import pytest

from sidecar.demo import DemoModel, start

QUICK = {"latency_ms": 0, "first_token_ms": 0, "tokens_per_second": 0}


@pytest.fixture(scope="module")
def process() -> Iterator[DemoModel]:
    with start("demo-small", **QUICK) as model:
        yield model


@pytest.fixture
def model(process) -> DemoModel:
    process.reset()
    process.forget()
    return process


@pytest.fixture
def client(model) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"http://{model.address}/v1", api_key="k", max_retries=0, timeout=5
    ) as made:
        yield made


@pytest.fixture(scope="module")
def fast() -> Iterator[DemoModel]:
    with start("demo-fast", fast=True) as model:
        yield model
