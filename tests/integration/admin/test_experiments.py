"""`GET /api/v1/experiments/{name}/report` on a real Redis."""

import httpx
import pytest

from sidecar.admin.experiments import experiments_router
from sidecar.admin.http import admin_app
from sidecar.config.redis_client import connect
from tests.unit.report.learned import CANARY, arm

SUMS = "pointsman:experiment:checkout-canary:3"


@pytest.fixture
async def redis(redis_url):
    async with connect(redis_url) as client:
        yield client


async def ask(redis, name, known=CANARY):
    live = {known.name: known} if known else {}
    router = experiments_router(redis, "pointsman:", lambda: live)
    app = admin_app(lambda _accept: (b"", ""), lambda: (True, {}), router)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost"
    ) as client:
        return await client.get(f"/api/v1/experiments/{name}/report")


async def test_a_report_is_of_the_live_version(redis):
    await redis.hset(SUMS, mapping=arm("control", 80) | arm("canary", 20))

    answer = await ask(redis, "checkout-canary")

    assert answer.status_code == 200
    assert answer.json()["version"] == 3
    assert answer.json()["arms"]["control"]["assigned"] == 80


@pytest.mark.parametrize(
    ("name", "known", "told"),
    [("checkout", CANARY, 'did you mean "checkout-canary"?'), ("x", None, "there is none")],
)
async def test_an_unknown_name_is_404_with_the_nearest_one(redis, name, known, told):
    answer = await ask(redis, name, known)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["detail"]


async def test_without_redis_it_is_503_and_says_nothing_else():
    async with connect("redis://127.0.0.1:1") as nowhere:
        answer = await ask(nowhere, "checkout-canary")

    assert answer.status_code == 503
    assert answer.json()["detail"] == "The store does not answer."


async def test_sums_that_somebody_spoiled_are_503_or_passed_over(redis):
    await redis.hset(SUMS, mapping=arm("control", 80) | {"control|assigned|n": "many", "x": "y"})
    assert (await ask(redis, "checkout-canary")).json()["arms"]["control"]["assigned"] == 0

    await redis.delete(SUMS)
    await redis.set(SUMS, "text")
    assert (await ask(redis, "checkout-canary")).status_code == 503
