"""Envoy's own check over everything that is generated."""

import subprocess

import msgspec
import pytest

from sidecar.app.child import find_envoy
from sidecar.model import Endpoint, Health, Router
from sidecar.xds.bootstrap import bootstrap
from sidecar.xds.clusters import clusters
from sidecar.xds.ext_proc import filter_resource
from sidecar.xds.publish import Publisher
from sidecar.xds.resources import EnvoySettings
from sidecar.xds.routes import first_routes, routes
from tests.integration.xds.gateway import backend, snapshot

ROUTER = Router(name="smart", type="fallback", strategy=None, targets=())
ODD = 'a%\n"é\\ {} %REQ(x)%'
SNAPSHOTS = {
    "none": snapshot(),
    "all off": snapshot(backend("a", 1, enabled=False)),
    "http": snapshot(backend("a", 1), routers={"smart": ROUTER}),
    "https": snapshot(backend("a", 443, "/v1", scheme="https", host="api.example.com")),
    "weighted": snapshot(
        backend(
            "a",
            0,
            endpoints=(
                Endpoint("http://10.0.0.1:80", weight=3, zone="a"),
                Endpoint("http://[::1]:8000", zone="b"),
                Endpoint("http://model.internal", weight=1_000_000),
            ),
        )
    ),
    "credentials": snapshot(
        backend("a", 1, credential="env:A"),
        backend("b/c:d@e", 1, credential="file:/none", credential_header="X-Api-Key"),
    ),
    "health": snapshot(backend("a", 1, health=Health("/health?a=b", 0.1), timeout_seconds=0.5)),
    "limits": snapshot(*(backend(f"b{n}", 1, timeout_seconds=n + 0.5) for n in range(5))),
    "odd names": snapshot(backend("Az09._:@/-", 1, model=ODD, provider=ODD), headers=("x'\\",)),
    "hundred": snapshot(*(backend(f"backend-{n}", 1) for n in range(100))),
}


def static(settings, resources, route_config):
    """Return the bootstrap with what would come from files inside: validation reads no files."""
    config = bootstrap(settings)
    del config["dynamic_resources"]
    plain = [{name: value for name, value in each.items() if name != "@type"} for each in resources]
    config["static_resources"]["clusters"] += plain
    (front, _) = config["static_resources"]["listeners"]
    manager = front["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    manager["route_config"] = {k: v for k, v in route_config.items() if k != "@type"}
    return config, manager["http_filters"]


def validate(folder, config):
    path = folder / "config.json"
    path.write_bytes(msgspec.json.encode(config))
    return subprocess.run(
        [find_envoy(), "--mode", "validate", "--config-path", path, "--log-level", "error"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("name", SNAPSHOTS)
async def test_envoy_takes_what_is_generated(tmp_path, name):
    settings = EnvoySettings(run_dir=str(tmp_path))
    await Publisher(settings, lambda _: None, environ={}).publish(SNAPSHOTS[name])
    config, filters = static(
        settings, clusters(SNAPSHOTS[name], settings), routes(SNAPSHOTS[name], settings)
    )
    (asking,) = (each for each in filters if "config_discovery" in each)
    asking["typed_config"] = filter_resource(SNAPSHOTS[name].headers)["typed_config"]
    del asking["config_discovery"]

    result = validate(tmp_path, config)

    assert (result.returncode, result.stderr) == (0, "")


def test_envoy_takes_the_routes_from_before_there_are_rules(tmp_path):
    settings = EnvoySettings(run_dir=str(tmp_path))
    Publisher(settings, lambda _: None)
    config, _ = static(settings, [], first_routes(settings))

    assert validate(tmp_path, config).returncode == 0


def test_envoy_takes_the_bootstrap_as_it_is(tmp_path):
    settings = EnvoySettings(run_dir=str(tmp_path), workers=8, listen_host="::1", node="n")
    Publisher(settings, lambda _: None)

    assert validate(tmp_path, bootstrap(settings)).returncode == 0


def test_envoys_check_would_fail(tmp_path):
    settings = EnvoySettings(run_dir=str(tmp_path))
    Publisher(settings, lambda _: None)
    config, _ = static(settings, [{"name": "a", "connect_timeout": "-1s"}], first_routes(settings))

    assert validate(tmp_path, config).returncode != 0
