"""What docs/rules.md shows can be pasted."""

import re
from pathlib import Path

import msgspec
import pytest

from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.config.rule_tests import Result, run
from sidecar.errors import ConfigError

TEXT = (Path(__file__).parents[3] / "docs" / "rules.md").read_text()
BLOCKS = [
    (section, line)
    for section, block in re.findall(
        r"^## ([^\n]*)\n(?=((?:(?!^## ).*\n?)*))", TEXT, flags=re.MULTILINE
    )
    for code in re.findall(r"```json\n(.*?)```", block, flags=re.DOTALL)
    for line in ([code] if code.startswith("{\n") else code.splitlines())
]
NAMES = (
    "openai/gpt-4o openai/gpt-4o-mini openai/gpt-3.5-turbo azure/gpt-4o "
    "gemini/gemini-2.0-flash-exp deepseek/deepseek-chat anthropic/claude-sonnet mistral/large"
)
BACKENDS = {
    name.replace("/", "-"): {
        "provider": name.split("/")[0],
        "model": name.split("/")[1],
        "endpoints": ["http://127.0.0.1"],
    }
    for name in [*NAMES.split(), "demo/large", "demo/small"]
} | {name: {"endpoints": ["http://127.0.0.1"]} for name in ("large", "small")}
for name, region in (("openai-gpt-4o", "us-east-1"), ("azure-gpt-4o", "eu-west-1")):
    BACKENDS[name]["region"] = region
BACKENDS["gemini-gemini-2.0-flash-exp"]["region"] = "eu-central-1"
NAMED = "example"
OTHERS = {"Keys": "0123456789abcdef", "Guards": NAMED, "Budgets": NAMED, "Tests": NAMED}
"""Section → how its example is called."""
STORED = ("best", "fast", "vision", "cheap", "spare", "coder", "default")
BASE = {
    "backends": BACKENDS,
    "flags": {"dark-mode": {}},
    "experiments": {
        "example": {"arms": [{"name": "one", "router": "large", "share": 50}], "state": "running"}
    },
    "guards": {"toxicity": {"url": "http://127.0.0.1/toxicity"}},
    "routers": {name: {"type": "random", "targets": ["large", "small"]} for name in STORED},
}


def document_of(section, example):
    """Return a configuration in which the example stands where its section says."""
    if section == "Backends":
        return {"backends": {**BACKENDS, "example": example}}
    if section == "Routers":
        return {"routers": {**BASE["routers"], "example": example}}
    if section in OTHERS:
        return {section.lower(): {OTHERS[section]: example}}
    return _by_its_fields(section, example)


def _by_its_fields(section, example):
    if "arms" in example:
        return {"experiments": {"example": example}}
    if section in {"Routes", "Experiments"} or "router" in example:
        return {"routes": {"example": example}}
    if "enabled" in example:
        return {"flags": {**BASE["flags"], "example": example}}
    return {"routes": {"example": {"match": example, "router": "large"}}}


@pytest.mark.parametrize(("section", "text"), BLOCKS, ids=lambda value: value[:40])
def test_every_example_is_accepted(section, text):
    documents = BASE | document_of(section, msgspec.json.decode(text))

    try:
        compile_snapshot(Documents.of(documents), version=1)
    except ConfigError as error:
        pytest.fail(f"{text}\n{error}")


@pytest.mark.parametrize("text", [text for section, text in BLOCKS if section == "Tests"])
def test_every_example_of_a_test_passes(text):
    routes = {"premium": {"match": {"user.tier": "premium"}, "router": "large"}}
    tests = {"example": msgspec.json.decode(text)}
    documents = Documents.of(BASE | {"routes": routes, "tests": tests})

    assert [*run(compile_snapshot(documents, version=1), documents)] == [Result("example", True)]


def test_examples_were_found():
    assert len(BLOCKS) >= 18
