import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.integration.xds.gateway import Gateway, backend
from tests.integration.xds.workers import plan


@pytest.fixture
async def start_gateway():
    """Make gateways that end with the test; short folders, as socket paths have 107 bytes."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(**settings):
            folder = tempfile.mkdtemp(prefix="xds-")
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            return await stack.enter_async_context(Gateway(Path(folder), **settings))

        yield start


@pytest.fixture
async def gateway(start_gateway):
    return await start_gateway()


@pytest.fixture
async def model(gateway):
    """One backend, and a worker that decides for it."""
    upstream = await gateway.upstream()
    await gateway.serve(backend("a", upstream.port))
    gateway.sidecar.always(plan("a"))
    return upstream
