"""docker-compose.yml and Dockerfile, as far as they can be checked without a Docker engine."""

import json
import re
from pathlib import Path

import pytest
import yaml

from sidecar.admin.token_access import TokenAccess
from sidecar.app.access import access_of
from sidecar.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_every_setting_in_the_compose_file_is_one_and_is_legal():
    for service in SERVICES.values():
        environment = service.get("environment", {})
        if service["image"].startswith("grafana/"):
            continue  # has settings of its own
        names = {PREFIX + name.upper() for name in Settings.__struct_fields__}
        assert environment.keys() <= names
        Settings.read(environment)


def test_envoy_and_the_sidecar_share_sockets_and_user():
    envoy, sidecar = SERVICES["envoy"], SERVICES["sidecar"]

    assert "run:/run/pointsman" in envoy["volumes"]
    assert "run:/run/pointsman" in sidecar["volumes"]
    assert f"--uid {envoy['user']} " in (ROOT / "Dockerfile").read_text()
    assert envoy["image"].endswith(":v1.40.0")


def test_the_admin_address_asks_for_tokens_that_outlive_the_container():
    sidecar = SERVICES["sidecar"]
    settings = Settings.read(sidecar["environment"])

    assert not settings.admin_is_loopback
    assert isinstance(access_of(settings), TokenAccess)
    assert f"state:{settings.tokens_file.parent}" in sidecar["volumes"]
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_dependencies_and_volumes_exist():
    volumes = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"]
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= SERVICES.keys()
        sources = {mount.partition(":")[0] for mount in service.get("volumes", [])}
        files = {source for source in sources if source.startswith("./")}
        assert sources - files <= volumes.keys()
        assert all((ROOT / source).is_dir() for source in files)


def test_ports_are_for_this_machine_alone_and_images_have_a_version():
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert re.search(r":v?[0-9]+\.[0-9.]+(-alpine)?$", service["image"])


def test_prometheus_reaches_what_it_scrapes_and_grafana_reaches_prometheus():
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    targets = {
        job["job_name"]: job["static_configs"][0]["targets"] for job in scraped["scrape_configs"]
    }
    sidecar = SERVICES["sidecar"]["environment"]
    (managers,) = scraped["alerting"]["alertmanagers"][0]["static_configs"]

    assert SERVICES["prometheus"]["network_mode"] == SERVICES["sidecar"]["network_mode"]
    assert targets["pointsman-envoy"] == [sidecar["POINTSMAN_ENVOY_ADMIN"]]
    assert targets["pointsman"] == ["127.0.0.1:" + sidecar["POINTSMAN_ADMIN"].rpartition(":")[2]]
    assert managers["targets"] == ["alertmanager:9093"]
    assert source()["url"] == "http://envoy:9090"
    assert "127.0.0.1:9090:9090" in SERVICES["envoy"]["ports"]


def test_grafana_finds_the_dashboards_and_knows_how_often_prometheus_scrapes():
    folder = ROOT / "deploy" / "grafana"
    providers = yaml.safe_load((folder / "provisioning/dashboards/pointsman.yml").read_text())
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    mounted = providers["providers"][0]["options"]["path"]
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())

    assert f"./deploy/grafana/dashboards:{mounted}:ro" in SERVICES["grafana"]["volumes"]
    assert (folder / "dashboards" / Path(home).relative_to(mounted)).is_file()
    assert source()["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]


def source():
    """Return Grafana's data source."""
    path = ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    return yaml.safe_load(path.read_text())["datasources"][0]


@pytest.mark.parametrize("name", ["demo-small", "demo-large", "demo-canary"])
def test_every_model_of_the_examples_is_a_service(name):
    examples = json.loads((ROOT / "sidecar" / "demo" / "examples.json").read_text())
    served = {
        backend["endpoints"][0]: backend["model"] for backend in examples["backends"].values()
    }

    command = SERVICES[name]["command"]

    assert command[command.index("--model") + 1] == served[f"http://{name}:8000"]
