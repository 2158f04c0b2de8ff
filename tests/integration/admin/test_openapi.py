"""The OpenAPI document of everything that control serves: valid, and by the house's rules."""

import re
from collections import Counter

import pytest
from openapi_spec_validator import validate

from sidecar.admin.gate import LoopbackAccess
from sidecar.app.control import Control
from sidecar.settings import Address, Settings

WRITES = {"put", "post", "delete", "patch"}
OPEN = {"/metrics", "/healthz", "/readyz", "/api/v1/public/backends"}
"""Need no token, and can go wrong in no way of the caller's."""


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    folder = tmp_path_factory.mktemp("control")
    settings = Settings(
        redis_url="redis://127.0.0.1:1", run_dir=folder, admin=Address("127.0.0.1", 0)
    )
    return Control(settings, LoopbackAccess())._admin_server().config.app.openapi()


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", method, path, operation


def test_it_is_valid(document):
    validate(document)


LINT = {
    "has an operationId that is a name": lambda _m, _p, one: re.fullmatch(
        "[a-z][a-z0-9_]{3,50}", one.get("operationId", "")
    ),
    "has a summary that fits a line": lambda _m, _p, one: 3 < len(one.get("summary", "")) <= 100,
    "has one tag": lambda _m, _p, one: len(one.get("tags", [])) == 1,
    "has an answer that is described": lambda _m, _p, one: any(
        status.startswith("2") and answer["description"]
        for status, answer in one["responses"].items()
    ),
    "has a problem for what callers do wrong": lambda _m, path, one: (
        path in OPEN
        or any(
            status.startswith("4") and "application/problem+json" in answer.get("content", {})
            for status, answer in one["responses"].items()
        )
    ),
    "has no error but problems": lambda _m, path, one: all(
        path == "/readyz" or [*answer.get("content", {})] in ([], ["application/problem+json"])
        for status, answer in one["responses"].items()
        if status >= "400"
    ),
    "names the security scheme": lambda _m, path, one: (
        one.get("security", []) == ([] if path in OPEN else [{"token": []}])
    ),
    "has a body with an example, if it has one": lambda _m, _p, one: (
        "requestBody" not in one or "example" in one["requestBody"]["content"]["application/json"]
    ),
    "describes each of its parameters": lambda _m, _p, one: all(
        parameter.get("description")
        or parameter["name"] in {"id", "v", "count", "limit", "minutes", "backend"}
        for parameter in one.get("parameters", [])
    ),
}


@pytest.mark.parametrize("rule", LINT)
def test_every_operation(rule, document):
    wrong = [
        name
        for name, method, path, one in operations(document)
        if not LINT[rule](method, path, one)
    ]

    assert wrong == []


def test_names_are_there_once_and_tags_are_described(document):
    names = Counter(one["operationId"] for *_, one in operations(document))
    used = {tag for *_, one in operations(document) for tag in one["tags"]}

    assert names.most_common(1)[0][1] == 1
    assert used == {tag["name"] for tag in document["tags"] if tag["description"]}
    assert {"put_route", "list_backends", "promote_experiment", "rollback_config"} <= names.keys()


def test_every_schema_that_is_there_is_used(document):
    used = set(re.findall("#/components/schemas/([A-Za-z]+)", str(document)))

    assert used == document["components"]["schemas"].keys()
