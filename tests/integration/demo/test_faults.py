"""Every fault of a simulated model, as a client sees it."""

import http.client
import socket
import time

import msgspec
import openai
import pytest

from bench.load import request
from sidecar.demo import DemoModelFailed

HELLO = [{"role": "user", "content": "hello there"}]
CHAT = request("/v1/chat/completions", b'{"model":"demo-small","messages":[]}')


def ask(client, **more):
    return client.chat.completions.create(model="demo-small", messages=HELLO, **more)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, openai.AuthenticationError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_a_status_is_an_openai_error(client, model, status, error):
    model.control(status=status)

    with pytest.raises(error, match="demo-small was told to fail") as caught:
        ask(client)

    assert caught.value.status_code == status
    assert set(caught.value.body) == {"message", "type", "param", "code"}


def test_a_status_with_times_fails_so_often_and_no_more(client, model):
    model.control(status=500, times=2)

    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            ask(client)

    assert ask(client).choices
    assert model.control()["status"] is None


def test_retry_after_alone_is_a_429_that_says_when(client, model):
    model.control(retry_after=5)

    with pytest.raises(openai.RateLimitError) as caught:
        ask(client)

    assert caught.value.response.headers["retry-after"] == "5"


def test_a_hung_model_accepts_and_never_answers(client, model):
    model.control(hang=True)

    with pytest.raises(openai.APITimeoutError):
        ask(client, timeout=0.3)

    assert len(model.requests()) == 1


def test_a_slow_first_token_comes_long_after_the_headers(client, model):
    model.control(slow_first_token_ms=300)
    began = time.perf_counter()
    stream = ask(client, stream=True)
    headers_at = time.perf_counter() - began
    next(iter(stream))
    stream.close()

    assert headers_at < 0.2
    assert time.perf_counter() - began >= 0.29


def test_latency_holds_back_the_headers(client, model):
    model.control(latency_ms=200)
    began = time.perf_counter()
    ask(client, stream=True).close()

    assert time.perf_counter() - began >= 0.19


def test_a_cut_stream_ends_after_its_tokens_without_an_end(client, model):
    model.control(cut_after_tokens=3)
    chunks = ask(client, stream=True)
    tokens = [next(chunks).choices[0].delta.content for _ in range(4)]

    with pytest.raises(openai.APIConnectionError):
        next(chunks)

    assert tokens == ["", "demo-small", " here.", " You"]


def test_a_cut_answer_has_half_of_its_bytes(model):
    model.control(cut_after_tokens=3)
    connection = http.client.HTTPConnection(model.address, timeout=5)
    connection.request("POST", "/v1/chat/completions", '{"model":"demo-small","messages":[]}')
    response = connection.getresponse()

    with pytest.raises(http.client.IncompleteRead) as caught:
        response.read()

    connection.close()
    assert abs(len(caught.value.partial) - caught.value.expected) <= 1


def test_a_reset_is_a_reset_before_any_byte(model):
    model.control(reset=True)
    host, _, port = model.address.partition(":")

    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(CHAT)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_reset_behaves_as_at_the_start(client, model):
    model.control(status=500, hang=True, latency_ms=9000)
    model.reset()

    assert ask(client).choices
    assert model.control()["latency_ms"] == 0


@pytest.mark.parametrize(
    "fields", [{"status": 200}, {"stauts": 500}, {"times": 0}, {"latency_ms": -1}]
)
def test_a_wrong_control_field_is_refused_and_changes_nothing(model, fields):
    before = model.control()

    with pytest.raises(DemoModelFailed, match=next(iter(fields))):
        model.control(**fields)

    assert model.control() == before


def test_health_takes_part_in_no_fault(model):
    model.control(status=500)
    connection = http.client.HTTPConnection(model.address, timeout=5)
    connection.request("GET", "/health")

    assert connection.getresponse().status == 200
    connection.close()
    assert model.requests() == []


def test_anthropics_errors_and_events_are_its_own(model):
    body = {"model": "demo-small", "max_tokens": 50, "stream": True, "messages": HELLO}
    lines = post(model, "/v1/messages", body)[1].decode().splitlines()

    kinds = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    model.control(status=529)
    status, text = post(model, "/v1/messages", body)
    assert (status, msgspec.json.decode(text)["type"]) == (529, "error")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/unknown", b"{}", 404),
        ("GET", "/v1/chat/completions", b"", 404),
        ("POST", "/v1/chat/completions", b"{", 400),
        ("POST", "/v1/chat/completions", b"[]", 400),
        ("POST", "/v1/chat/completions", b'{"messages":[]}', 400),
        ("POST", "/v1/chat/completions", b'{"model":"demo-small","max_tokens":-1}', 400),
        ("POST", "/v1/chat/completions", b'{"model":' + b"[" * 100_000, 400),
    ],
)
def test_what_a_provider_refuses_is_refused(model, method, path, body, status):
    connection = http.client.HTTPConnection(model.address, timeout=5)
    connection.request(method, path, body)
    response = connection.getresponse()

    assert response.status == status
    assert "message" in msgspec.json.decode(response.read())["error"]
    connection.close()


def post(model, path, body):
    connection = http.client.HTTPConnection(model.address, timeout=5)
    connection.request("POST", path, msgspec.json.encode(body))
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, text
