"""What clients send, right and wrong, through real Envoy."""

import gzip
import json
import socket

import httpx
import pytest

from tests.e2e.system import System

pytestmark = pytest.mark.e2e

CHAT = {"model": "any", "messages": [{"role": "user", "content": "hello"}]}


def error_of(response):
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return response.status_code, error["code"], error["param"]


def raw(system, request: bytes) -> bytes:
    """Send bytes as they are; return the response up to the end of its head."""
    with socket.create_connection(tuple(system.settings.listen), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received and (part := connection.recv(65536)):
            received += part
        return received


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"not json",
        b"[1]",
        b'{"model": "a", "model": "b"}',
        b'{"model": "a"} trailing',
        b"\xef\xbb\xbf" + json.dumps(CHAT).encode(),
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model": "\xff"}',
        b'{"model": "\\ud800"}',
    ],
    ids=["cut", "text", "array", "twice", "trailing", "bom", "bomb", "utf8", "surrogate"],
)
def test_a_body_that_is_not_one_json_object_gets_400(system, body):
    status, code, _ = error_of(system.post(body))

    assert (status, code) == (400, "invalid_json")
    assert not any(model.requests() for model in system.models.values())


def test_an_empty_body_gets_400(system):
    assert error_of(system.post(b""))[:2] == (400, "invalid_json")


def test_a_router_in_the_request_decides_and_does_not_reach_the_model(system):
    router = {
        "type": "fallback",
        "targets": [{"model": "demo/large", "temperature": 0.25}, "small"],
    }

    response = system.chat(router=router, temperature=1, extra={"user": {"id": "u1"}})

    assert response.headers["x-pointsman-backend"] == "large"
    assert response.headers["x-pointsman-route"] == "(inline)"
    body = system.last("large").json()
    assert body["temperature"] == 0.25
    assert not {"router", "extra"} & body.keys()


def test_an_invalid_router_gets_400_with_its_path(system):
    response = system.chat(router={"type": "percentage", "targets": ["small"]})

    status, code, param = error_of(response)
    assert (status, code) == (400, "invalid_router")
    assert param.startswith("router")


def test_an_unknown_model_takes_the_default_chain(system):
    system.drop("routes", "default")
    system.until(lambda: system.chat().headers["x-pointsman-route"] == "(default)", "no route")

    response = system.chat(model="nobody-knows-me")

    assert response.status_code == 200
    assert response.headers["x-pointsman-backend"] == "small"
    system.until(
        lambda: system.metric("pointsman_errors_total", code="unknown_model") >= 1, "the warning"
    )


def test_a_backend_and_a_stored_router_can_be_asked_for_by_name(system):
    system.drop("routes", "default")
    system.until(lambda: system.chat().headers["x-pointsman-route"] == "(default)", "no route")

    assert system.chat(model="large").headers["x-pointsman-backend"] == "large"
    assert system.chat(model="demo/large").headers["x-pointsman-backend"] == "large"
    assert system.chat(model="router/resilient").headers["x-pointsman-strategy"] == "fallback"


def test_headers_forged_by_a_client_change_nothing(system):
    forged = {
        "x-pointsman-cluster": "canary",
        "x-pointsman-decision": "forged",
        "x-pointsman-path": "/evil",
        "x-envoy-max-retries": "9",
        "x-envoy-attempt-count": "3",
        "x-envoy-upstream-rq-per-try-timeout-ms": "1",
    }

    response = system.chat(headers=forged)

    assert response.headers["x-pointsman-backend"] == "small"
    assert response.headers["x-pointsman-decision"] != "forged"
    seen = dict(system.last("small").headers)
    assert seen["x-pointsman-cluster"] == "small"
    assert not {name for name in seen if name.startswith("x-envoy-")}
    assert "x-pointsman-path" not in seen


def test_a_gzip_body_is_decided(system):
    response = system.post(gzip.compress(json.dumps(CHAT).encode()), content_encoding="gzip")

    assert response.status_code == 200
    assert response.headers["x-pointsman-backend"] == "small"
    assert system.last("small").json()["model"] == "small"


def test_a_chunked_body_is_decided(system):
    text = json.dumps(CHAT).encode()

    response = system.post(iter([text[:10], text[10:]]))

    assert response.headers["x-pointsman-backend"] == "small"
    assert system.last("small").json()["messages"] == CHAT["messages"]


def test_expect_100_continue_is_answered(system):
    body = json.dumps(CHAT).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    )
    with socket.create_connection(tuple(system.settings.listen), timeout=10) as connection:
        connection.sendall(head)
        assert connection.recv(1024).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_an_http2_client_is_served(system):
    with httpx.Client(base_url=system.base, http1=False, http2=True) as client:
        response = client.post("/v1/chat/completions", json=CHAT)

    assert response.http_version == "HTTP/2"
    assert response.headers["x-pointsman-backend"] == "small"


def test_models_are_listed_with_backends_and_routers(system):
    listed = system.http.get("/v1/models").json()

    assert listed["object"] == "list"
    assert {"small", "large", "canary", "router/resilient"} == {
        model["id"] for model in listed["data"]
    }


def test_other_paths_go_to_the_default_chain_undecided(system):
    response = system.http.post("/v1/audio/transcriptions", content=b"not json at all")

    assert "x-pointsman-decision" not in response.headers
    assert response.headers["x-pointsman-backend"] == "small"
    assert system.last("small").body == "not json at all"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": "hello"}),
        ("/v1/embeddings", {"input": "hello"}),
        ("/v1/responses", {"input": "hello"}),
        ("/v1/messages", {"max_tokens": 9, "messages": CHAT["messages"]}),
    ],
)
def test_every_operation_is_decided(system, path, body):
    response = system.post(json.dumps({"model": "any", **body}).encode(), path)

    assert response.status_code == 200
    assert response.headers["x-pointsman-backend"] == "small"
    assert system.last("small").json()["model"] == "small"


def test_bytes_outside_the_edits_reach_the_model_unchanged(system):
    body = b'{ "messages" : [{"role":"user","content":"\\u00e9\xc3\xa9"}],"model":"any" , "x": 1e2}'

    system.post(body)

    assert system.last("small").body.encode() == body.replace(b'"any"', b'"small"')


def test_answers_carry_the_headers_of_the_contract(system):
    headers = system.chat().headers

    assert headers["x-pointsman-strategy"] == "fallback"
    assert headers["x-pointsman-attempts"] == "1"
    assert int(headers["x-pointsman-config-version"]) >= 0
    assert headers["x-model-name"] == "small"
    assert headers["x-provider-name"] == "demo"
    assert headers["x-trace-id"] == headers["x-pointsman-decision"]


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A system with the gates shut and no default route."""
    system = System(
        tmp_path_factory.mktemp("strict"),
        inline_routers="deny",
        on_unknown_model="reject",
        max_body_bytes=64 * 1024,
    )
    try:
        system.start()
        system.drop("routes", "default")
        system.until(lambda: system.chat().status_code == 404, "no default route")
        yield system
    finally:
        system.stop()


def test_a_router_in_the_request_is_forbidden(strict):
    response = strict.chat(router={"type": "random", "targets": ["small"]})

    assert error_of(response) == (403, "router_forbidden", "router")


def test_an_unknown_model_is_refused(strict):
    assert error_of(strict.chat(model="nobody")) == (404, "model_not_found", "model")


def test_a_body_over_the_limit_is_refused_as_openai_would(strict):
    status, code, _ = error_of(strict.chat("x" * 100_000, model="small"))

    assert (status, code) == (413, "body_too_large")
    strict.until(
        lambda: strict.metric("pointsman_errors_total", code="body_too_large") >= 1, "count"
    )


def test_scripts_in_requests_are_switched_off_unless_allowed(system):
    router = {"type": "script", "script": "const route = () => 'large';"}

    status, code, param = error_of(system.chat(router=router))

    assert (status, code, param) == (403, "router_forbidden", "router")


def test_a_script_that_does_not_compile_is_a_fault_of_the_request(own_system):
    system = own_system(inline_scripts="allow").start()
    router = {"type": "fallback", "targets": [{"router": {"type": "script", "script": "const ="}}]}

    status, code, param = error_of(system.chat(router=router))

    assert (status, code) == (400, "script_error")
    assert param == "router.targets[0].router.script"
