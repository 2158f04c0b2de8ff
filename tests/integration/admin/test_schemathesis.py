"""Requests made up from the OpenAPI document, to a real `pointsman serve` over a real Redis.

Whatever is sent, answers are those that the document promises: no failure of the server, no status,
media type, header or body that is not in it.
"""

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.failures import FailureGroup

from sidecar.settings import Address
from tests.e2e.system import System
from tests.redis_server import running_redis

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
RULES = {
    "backends": {"a": {"endpoints": ["http://127.0.0.1:1"]}},
    "routes": {"all": {"router": "a"}},
    "experiments": {"0": {"arms": [{"name": "x", "router": "a", "share": 100}]}},
}
"""The experiment has a name that is made up often."""


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    with running_redis() as server:
        store = Address("127.0.0.1", server.port)
        system = System(tmp_path_factory.mktemp("node"), redis_address=store, workers=1)
        system.write(RULES)
        try:
            system.local.start_sidecar()
            address = f"http://{system.settings.admin}"
            ready = f"{address}/readyz"
            system.until(lambda: httpx.get(ready).status_code == 200, "rules")
            yield schemathesis.openapi.from_url(f"{address}/openapi.json")
        finally:
            system.stop()


def fuzz(schema, mode, examples):
    """Send so many requests to each operation; return what was wrong, and how many were sent."""
    wrong, statuses = [], []
    with requests.Session() as session:
        for result in schema.get_all_operations():
            operation = result.ok()

            @settings(
                max_examples=examples,
                phases=[Phase.generate],
                derandomize=True,
                database=None,
                deadline=None,
                suppress_health_check=[*HealthCheck],
            )
            @given(operation.as_strategy(generation_mode=mode))
            def send(case):
                answer = case.call_and_validate(checks=CHECKS, session=session, timeout=30)
                statuses.append(answer.status_code)

            try:
                send()
            except Unsatisfiable:
                continue  # nothing wrong can be sent to it: it takes nothing
            except FailureGroup as error:
                wrong.append(f"{operation.label}: {error}")
    return wrong, statuses


def test_what_the_document_allows_is_answered_as_it_says(schema):
    wrong, statuses = fuzz(schema, GenerationMode.POSITIVE, 3)

    assert wrong == []
    assert {200, 404, 422, 428} <= {*statuses}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", GenerationMode)
def test_the_same_with_many_requests_and_with_what_is_not_allowed(schema, mode):
    wrong, statuses = fuzz(schema, mode, 60)

    assert wrong == []
    assert len(statuses) > 2000
