"""A real Redis, and settings that record every request."""

import pytest
import redis.asyncio

from sidecar.settings import Settings


@pytest.fixture
async def store(redis_url):
    async with redis.asyncio.Redis.from_url(redis_url, protocol=3) as client:
        yield client


@pytest.fixture
def settings(redis_url):
    return Settings.read({"POINTSMAN_REDIS_URL": redis_url, "POINTSMAN_DECISION_FACTS": "1"})
