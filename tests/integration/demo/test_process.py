"""A simulated model as a process: started, recorded, ended."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sidecar.demo import DemoModelFailed, command, spawn, start


def send(model, body=b"{}", path="/v1/chat/completions", **headers):
    connection = http.client.HTTPConnection(model.address, timeout=5)
    connection.request("POST", path, body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_request_is_recorded_as_it_was_received(model):
    body = b'{"model": "other",\xff "b": 1}'
    send(model, body, "/v1/odd%20path?a=1", **{"X-Mixed": "Case"})
    (seen,) = model.requests()

    assert (seen.method, seen.path) == ("POST", "/v1/odd%20path?a=1")
    assert seen.header("x-mixed") == "Case"
    assert seen.raw == body
    assert seen.body == '{"model": "other",\\xff "b": 1}'


def test_the_last_hundred_requests_are_kept_until_forgotten(model):
    for number in range(103):
        send(model, str(number).encode())

    assert [int(seen.body) for seen in model.requests()] == list(range(3, 103))
    model.forget()
    assert model.requests() == []


def test_any_model_answers_for_every_name():
    with start("demo-any", any_model=True, latency_ms=0, first_token_ms=0) as model:
        assert send(model, b'{"model":"whatever","messages":[]}') == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number):
    with start("demo-term") as model:
        model.process.send_signal(number)

        assert model.process.wait(3) == 0


def test_it_ends_soon_even_when_a_request_hangs():
    with start("demo-term") as model:
        model.control(hang=True)
        host, _, port = model.address.partition(":")
        with socket.create_connection((host, int(port))) as waiting:
            waiting.sendall(b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
            while not model.requests():
                time.sleep(0.01)
            model.process.terminate()

            assert model.process.wait(3) == 0


@pytest.mark.parametrize("fast", [False, True])
def test_it_ends_with_the_process_that_started_it(fast):
    model = spawn("demo-orphan", fast=fast)
    model.address  # noqa: B018
    model.process.stdin.close()

    assert model.process.wait(3) == 0
    model.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_operators_find_it_by_its_title(model):
    title = Path(f"/proc/{model.process.pid}/cmdline").read_bytes().rstrip(b"\0").decode()

    assert title == "pointsman: model demo-small"


def test_a_taken_port_is_said_and_fails(model):
    with pytest.raises(DemoModelFailed, match=rf"{model.address}.*in use"):
        start("demo-second", model.address)


def test_a_wrong_option_is_said_and_fails():
    with pytest.raises(DemoModelFailed, match="latency_ms"):
        start("demo-wrong", latency_ms=-1)


def test_the_command_line_prints_where_it_listens():
    with subprocess.Popen(command("demo-alone"), stdout=subprocess.PIPE) as process:
        address = json.loads(process.stdout.readline())["listening"]
        process.terminate()

    assert address.startswith("127.0.0.1:")
    assert process.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
