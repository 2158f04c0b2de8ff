"""What operators look up is there: each setting, each code, each place that a page points to."""

import configparser
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
import yaml

import sidecar
from sidecar.app import sampling, tracing
from sidecar.errors import PointsmanError
from sidecar.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "envoy" / "README.md"])
DEPLOYING = (ROOT / "docs" / "deploying.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ROWS = [
    re.findall(r"`([^`]+)`", line.split("|")[1])
    for line in (DEPLOYING + OPERATIONS).splitlines()
    if line.startswith("| `")
]
LISTED = {name for row in ROWS for name in row}


def codes(kind=PointsmanError):
    """Return the codes of all errors that have a class, besides those that stay within a module."""
    for child in kind.__subclasses__():
        if not child.__name__.startswith("_"):
            yield child.code
            yield from codes(child)


def test_every_setting_is_listed():
    settings = {PREFIX + name.upper() for name in Settings.__struct_fields__}

    assert settings - LISTED == set()


def test_every_variable_of_traces_is_listed():
    named = {*sampling.ENDPOINTS, sampling.SAMPLER, sampling.ARGUMENT, tracing._QUEUE}

    assert named - LISTED == set()
    assert all(name in DEPLOYING for name in sampling.SAMPLERS)


def test_every_code_of_an_error_is_listed():
    for module in pkgutil.walk_packages(sidecar.__path__, "sidecar."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    assert {"invalid_json", "store_conflict", "port_in_use"} <= set(codes())
    assert {*codes(), PointsmanError.code} - LISTED == set()


def anchors(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", [DEPLOYING, OPERATIONS], ids=["deploying", "operations"])
def test_every_section_is_in_the_pages_list(page):
    sections = re.findall(r"^## (.*)$", page, re.MULTILINE)
    listed = re.findall(r"\(#([^)]+)\)", page.partition("\n## ")[0])

    made = [re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in sections]
    assert set(made) - set(listed) == set()


def test_the_units_of_systemd_are_units():
    units = re.findall(r"```ini\n# /etc/systemd/system/(\S+)\n(.*?)```", DEPLOYING, re.DOTALL)

    assert [name for name, _ in units] == ["pointsman.service", "pointsman-envoy.service"]
    for _, text in units:
        unit = configparser.ConfigParser(interpolation=None, strict=True)
        unit.optionxform = str
        unit.read_string(text)
        assert {"Unit", "Service", "Install"} == set(unit.sections())
        assert unit["Service"]["User"] == "pointsman"


def test_the_settings_of_the_examples_are_settings():
    (text,) = re.findall(r"```yaml\n(.*?)```", DEPLOYING, re.DOTALL)
    deployment, service = yaml.safe_load_all(text)
    sidecar_container, envoy = deployment["spec"]["template"]["spec"]["containers"]
    environ = {one["name"]: one.get("value", "x") for one in sidecar_container["env"]}

    settings = Settings.read(environ)

    assert {name for name in environ if name.startswith(PREFIX)} <= LISTED
    assert f"{settings.run_dir}/envoy.json" in envoy["command"][-1]
    assert service["spec"]["ports"][0]["targetPort"] == envoy["ports"][0]["name"]
    assert settings.listen.port == envoy["ports"][0]["containerPort"]
    assert settings.admin.port == sidecar_container["ports"][0]["containerPort"]
