"""docker-compose.yml and Dockerfile, as far as they can be checked without a Docker engine."""

import json
from pathlib import Path

import pytest
import yaml

from sidecar.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_every_setting_in_the_compose_file_is_one_and_is_legal():
    for service in SERVICES.values():
        environment = service.get("environment", {})
        names = {PREFIX + name.upper() for name in Settings.__struct_fields__}
        assert environment.keys() <= names
        Settings.read(environment)


def test_envoy_and_the_sidecar_share_sockets_and_user():
    envoy, sidecar = SERVICES["envoy"], SERVICES["sidecar"]

    assert "run:/run/pointsman" in envoy["volumes"]
    assert "run:/run/pointsman" in sidecar["volumes"]
    assert f"--uid {envoy['user']} " in (ROOT / "Dockerfile").read_text()
    assert envoy["image"].endswith(":v1.40.0")


def test_dependencies_and_volumes_exist():
    volumes = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"]
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= SERVICES.keys()
        assert {mount.partition(":")[0] for mount in service.get("volumes", [])} <= volumes.keys()


@pytest.mark.parametrize("name", ["demo-small", "demo-large", "demo-canary"])
def test_every_model_of_the_examples_is_a_service(name):
    examples = json.loads((ROOT / "sidecar" / "demo" / "examples.json").read_text())
    served = {
        backend["endpoints"][0]: backend["model"] for backend in examples["backends"].values()
    }

    command = SERVICES[name]["command"]

    assert command[command.index("--model") + 1] == served[f"http://{name}:8000"]
