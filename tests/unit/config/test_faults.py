"""What is wrong with documents is told with paths, as tests/cases/config_faults.yaml says."""

from pathlib import Path

import pytest
import yaml

from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import KINDS, Documents
from sidecar.errors import ConfigError

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "config_faults.yaml").read_text())
GOOD = {"gpt": {"endpoints": ["http://a/v1"]}}


def faults_of(documents):
    with pytest.raises(ConfigError) as raised:
        compile_snapshot(documents, version=1)
    return [str(fault) for fault in raised.value.faults]


def cut(found, expected):
    """Shorten what was found to the length of an expected beginning."""
    return found[: len(expected) - 1] + "…" if expected.endswith("…") else found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_every_fault_is_told_with_its_path_and_the_legal_values(case):
    documents = Documents.of({"backends": GOOD} | case.get("documents", {}))
    for kind, texts in case.get("texts", {}).items():
        getattr(documents, kind).update({name: text.encode() for name, text in texts.items()})

    found = faults_of(documents)

    assert len(found) == len(case["faults"]), found
    assert [*map(cut, found, case["faults"])] == case["faults"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [b"", b'{"type": "\xff"}', b"[" * 100_000, b"{} x"])
def test_text_that_cannot_be_read_is_a_fault_of_its_document(kind, text):
    documents = Documents.of({"backends": GOOD})
    getattr(documents, kind)["broken"] = text

    (fault,) = faults_of(documents)

    assert fault.startswith(f"{kind}.broken")


@pytest.mark.parametrize("kind", ["routes", "routers", "flags"])
def test_endless_nesting_is_a_fault_and_no_crash(kind):
    deep = {"all": []}
    for _ in range(200):
        deep = {"not": deep}
    router = "gpt"
    for _ in range(200):
        router = {"type": "fallback", "targets": [{"router": router}]}
    document = {"routes": {"match": deep, "router": router}, "routers": router}.get(kind)
    documents = Documents.of({"backends": GOOD, kind: {"deep": document or {"match": deep}}})

    assert all("deep" in fault for fault in faults_of(documents))


def test_secrets_that_were_put_in_the_wrong_place_are_not_repeated():
    urls = ["https://me:hush@a/v1", "https://hush@a", "https://a/v1?key=hush", "https://b?x@hush"]
    backends = {f"b{place}": {"endpoints": [url]} for place, url in enumerate(urls)}
    backends["key"] = {"endpoints": ["https://a"], "credential": "hush"}

    found = faults_of(Documents.of({"backends": backends}))

    assert len(found) == 5
    assert "hush" not in "".join(found)
