import tempfile
from pathlib import Path

import grpc
import pytest

from sidecar.pb.access_log_entry_pb2 import HTTPAccessLogEntry
from sidecar.telemetry.access_log import access_log_handlers
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.outcome import FailedAttempt
from sidecar.telemetry.recorder import Recorder
from sidecar.telemetry.windows import Windows
from tests.unit.telemetry.entries import entry, message, not_utf8
from tests.unit.telemetry.snapshots import usual

METHOD = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
ANSWER = entry(cluster="small", attempts=1, status=200, details="via_upstream")
TIMED_OUT = entry(cluster="large", flags=["upstream_request_timeout"])
NO_CREDENTIAL = entry(
    cluster="small", attempts=1, status=401, details="failed_to_inject_credential"
)


class Collected:
    def __init__(self):
        self.outcomes, self.attempts, self.broken_count = [], [], 0

    def outcome(self, outcome):
        if outcome.backend == "explosive":
            raise RuntimeError("a fault of the sink")
        self.outcomes.append(outcome)

    def attempt(self, attempt):
        self.attempts.append(attempt)

    def broken(self):
        self.broken_count += 1


@pytest.fixture
def sink():
    return Collected()


@pytest.fixture
async def send(sink):
    """Serve ``sink`` on a Unix socket; returns a function that sends one stream to it."""
    with tempfile.TemporaryDirectory(prefix="als-") as folder:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((access_log_handlers(sink),))
        address = f"unix:{Path(folder) / 'als.sock'}"
        server.add_insecure_port(address)
        await server.start()

        async def send_stream(*messages):
            async with grpc.aio.insecure_channel(address) as channel:
                return await channel.stream_unary(METHOD)(iter(messages))

        yield send_stream
        await server.stop(None)


async def test_the_first_message_names_the_log_of_all(send, sink):
    answer = await send(message(ANSWER, log_name="requests"), message(ANSWER), message(ANSWER))

    assert answer == b""
    assert [outcome.backend for outcome in sink.outcomes] == ["small"] * 3
    assert (sink.attempts, sink.broken_count) == ([], 0)


async def test_failed_attempts_have_a_log_of_their_own(send, sink):
    await send(message(TIMED_OUT, ANSWER, log_name="attempts"))

    assert sink.attempts == [FailedAttempt("large", "timeout", blamed=True)]
    assert sink.outcomes == []


async def test_a_failure_that_the_log_of_attempts_does_not_have_is_an_attempt_as_well(send, sink):
    await send(message(NO_CREDENTIAL, log_name="requests"))

    assert len(sink.outcomes) == 1
    assert sink.attempts == [FailedAttempt("small", "401", blamed=True)]


async def test_one_entry_that_is_not_utf8_costs_only_itself(send, sink):
    batch = message(ANSWER, ANSWER, log_name="requests") + _batch_of(not_utf8(HTTPAccessLogEntry()))

    await send(batch, message(ANSWER))

    assert (len(sink.outcomes), sink.broken_count) == (3, 1)


async def test_a_message_that_is_no_protobuf_costs_only_itself(send, sink):
    await send(message(ANSWER, log_name="requests"), b"\xff\xff\xff", message(ANSWER))

    assert (len(sink.outcomes), sink.broken_count) == (2, 1)


async def test_a_fault_of_the_sink_does_not_end_the_stream(send, sink):
    explosive = entry(cluster="explosive", attempts=1, status=200)

    await send(message(explosive, ANSWER, log_name="requests"))

    assert (len(sink.outcomes), sink.broken_count) == (1, 1)


@pytest.mark.parametrize("log_name", ["", "other"])
async def test_entries_of_an_unknown_log_are_counted_as_broken(send, sink, log_name):
    await send(message(ANSWER, log_name=log_name))

    assert (sink.outcomes, sink.broken_count) == ([], 1)


async def test_an_empty_stream_is_nothing(send, sink):
    assert await send() == b""
    assert sink.broken_count == 0


class TestRecorder:
    @pytest.fixture
    def sink(self):
        self.metrics, self.windows = Metrics("1"), Windows()
        self.metrics.use(usual())
        return Recorder(self.metrics, self.windows, clock=lambda: 1000.0)

    async def test_everything_arrives_in_metrics_and_windows(self, send):
        await send(message(ANSWER, NO_CREDENTIAL, log_name="requests"))
        await send(message(TIMED_OUT, log_name="attempts"), b"\xff\xff")

        small, large = (self.windows.totals(1000.0)[name]["1m"] for name in ("small", "large"))
        assert (small.requests, small.errors) == (2, 1)
        assert (large.requests, large.errors) == (1, 1)
        text = self.metrics.render()[0].decode()
        for line in (
            'pointsman_attempts_total{backend="small",code="200"} 1.0',
            'pointsman_attempts_total{backend="small",code="401"} 1.0',
            'pointsman_attempts_total{backend="large",code="timeout"} 1.0',
            'pointsman_errors_total{code="access_log_entry"} 1.0',
        ):
            assert line in text


def _batch_of(raw_entry):
    """Return a message with this entry as it is; joined to another, their batches merge."""
    logs = b"\x0a" + _length(raw_entry) + raw_entry
    return b"\x12" + _length(logs) + logs


def _length(data):
    assert len(data) < 128
    return bytes([len(data)])
