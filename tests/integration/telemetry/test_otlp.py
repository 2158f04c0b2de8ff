"""The sender of spans, without a collector and with a slow one."""

import socket
import threading
import time

import pytest

from sidecar.model import TraceContext
from sidecar.telemetry.otlp import SpanSender
from sidecar.telemetry.spans import Span
from tests.ports import free_port

SPAN = Span("chat", "server", TraceContext("1" * 32, "2" * 16, True), "", "", 1, 2, {"a": "b"})


@pytest.fixture
def sender(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    made = []

    def make(port):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        made.append(SpanSender({}, "0", most_waiting=16))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_what_does_not_fit_is_dropped_and_counted(sender):
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections, never answers
        hanging = sender(deaf.getsockname()[1])
        for _ in range(1000):
            hanging.send(SPAN)

        # Eight may be on their way besides the 16 that wait.
        assert 1000 - 16 - 8 <= hanging.counts()["lost"] <= 1000
        assert hanging.counts()["sent"] == 0


def test_without_a_collector_every_span_is_lost_in_the_end(sender):
    alone = sender(free_port())
    for _ in range(8):
        alone.send(SPAN)

    deadline = time.monotonic() + 10
    while alone.counts()["lost"] < 8 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert alone.counts()["lost"] == 8


def test_closing_does_not_wait_for_a_collector_that_hangs(sender, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    monkeypatch.setattr("sidecar.telemetry.otlp.CLOSE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        hanging = sender(deaf.getsockname()[1])
        hanging.send(SPAN)
        closing = threading.Thread(target=hanging.close, daemon=True)

        closing.start()
        closing.join(10)

        assert not closing.is_alive()
