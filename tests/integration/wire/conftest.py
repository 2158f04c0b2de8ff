"""Everything about a worker's socket is tested on the loop that workers run on."""

import uvloop


def pytest_asyncio_loop_factories(config, item):
    return {"uvloop": uvloop.new_event_loop}
