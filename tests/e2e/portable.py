"""A system on an Envoy of one's own: `envoy/portable.yaml`, moved to free ports and sockets."""

import json
from pathlib import Path

import yaml

from sidecar.app.child import Child, find_envoy
from sidecar.app.local import Local, fetch
from sidecar.settings import Address
from tests.e2e.system import System

PORTABLE = Path(__file__).parents[2] / "envoy" / "portable.yaml"


class PortableSystem(System):
    """``envoy``: the program; without it, the one that everything else runs on."""

    def __init__(self, folder, envoy=None, **settings):
        super().__init__(folder, **settings)
        self.envoy = envoy or find_envoy()
        self.local = _Local(self.settings, self.envoy, self._configuration)

    def _configuration(self):
        config = yaml.safe_load(PORTABLE.read_text())
        resources = config["static_resources"]
        _move(config["admin"], self.settings.envoy_admin)
        _move(resources["listeners"][0], self.settings.listen)
        clusters = {cluster["name"]: cluster for cluster in resources["clusters"]}
        for name in ("pointsman~ext_proc", "pointsman~log"):
            for endpoint in _endpoints(clusters[name]):
                pipe = endpoint["address"]["pipe"]
                pipe["path"] = str(self.settings.run_folder() / Path(pipe["path"]).name)
        for name in ("small", "large"):
            (endpoint,) = _endpoints(clusters[name])
            host, _, port = self.models[name].address.rpartition(":")
            _move(endpoint, Address(host, int(port)))
        return config


class _Local(Local):
    def __init__(self, settings, envoy, configuration):
        super().__init__(settings)
        self._envoy = envoy
        self._configuration = configuration

    def start_envoy(self, *arguments):
        folder = self.settings.run_folder()
        path = folder / "portable.json"
        path.write_text(json.dumps(self._configuration()))
        command = [self._envoy, "-c", path, "--disable-hot-restart", "--log-level", "warning"]
        ready = f"http://{self.settings.envoy_admin}/ready"
        return self.start(
            Child("envoy", [*command, *arguments], folder), lambda: fetch(ready) is not None
        )


def _endpoints(cluster):
    (locality,) = cluster["load_assignment"]["endpoints"]
    return [each["endpoint"] for each in locality["lb_endpoints"]]


def _move(place, address):
    """Give ``place`` (a listener, an endpoint, the admin) another socket address."""
    place["address"]["socket_address"] = {"address": address.host, "port_value": address.port}
