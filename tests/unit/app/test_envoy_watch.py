"""What is told of a backend's health: Envoy's word, unless it is out on all nodes."""

import asyncio

from sidecar.app.envoy_watch import EnvoyWatch
from sidecar.model import Out
from sidecar.xds.envoy_admin import BackendHealth


class Envoy:
    async def backends(self):
        return {name: BackendHealth(True, 2, 1) for name in ("well", "out", "tried")}


class Publisher:
    rejection = None


async def test_who_is_out_is_not_healthy_and_who_is_on_trial_is_as_envoy_says():
    out = {"out": Out("out until 07:45:12Z: why"), "tried": Out("on trial", "tried:1")}
    watch = EnvoyWatch(Envoy(), Publisher(), lambda *_: None, lambda: out)
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(0)
    running.cancel()

    assert watch.healthy() == {"well": True, "out": False, "tried": True}
    assert watch.health["out"].reason == "out until 07:45:12Z: why"
    assert watch.in_flight() == {"well": 2, "out": 2, "tried": 2}
