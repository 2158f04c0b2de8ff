"""Lines of a worker's log about a request carry the ids by which it is found."""

import json

import pytest
from structlog.testing import capture_logs

from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.explain import Records
from sidecar.model import Sampling, Stats
from sidecar.pb import ext_proc_pb2 as pb
from sidecar.wire.decider import Decider
from sidecar.wire.exchange import Exchange

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
DOCUMENTS = {
    "backends": {"a": {"model": "a", "provider": "p", "endpoints": ["http://a"]}},
    "routes": {"default": {"order": 1, "router": {"type": "fallback", "targets": ["a"]}}},
}


class Defect:
    """Takes every request, and fails at it."""

    below = 2**64

    def take(self, record, request):
        raise RuntimeError("boom")


def line(headers, tracing):
    """Return the line about a request that fails, and the id of its decision."""
    records = Records(1)
    snapshot = compile_snapshot(Documents.of(DOCUMENTS), version=1)
    decider = Decider(
        lambda: snapshot, Stats, 1000, records=records, sample=Defect(), tracing=tracing
    )
    request = pb.ProcessingRequest()
    request.request_body.body = json.dumps({"model": "a", "messages": []}).encode()
    fields = request.attributes["envoy.filters.http.ext_proc"].fields
    fields["request.path"].string_value = "/v1/chat/completions"
    for name, text in headers.items():
        fields[f"request.headers['{name}']"].string_value = text
    with capture_logs() as logs:
        reply = Exchange(decider).feed(request.SerializeToString())
    assert reply.message is None, "Envoy fails open"
    (told,) = logs
    (record,) = records
    return told, record.id


@pytest.mark.parametrize("tracing", [None, Sampling(), Sampling(0.0)])
def test_a_decision_that_failed_is_found_by_its_id(tracing):
    told, identity = line({}, tracing)

    assert (told["event"], told["decision"]) == ("decision_failed", identity)
    assert told.get("trace_id") == (None if tracing is None else identity.zfill(32))


def test_a_decision_that_failed_is_found_by_the_clients_trace():
    told, identity = line({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-00"}, Sampling())

    assert (told["decision"], told["trace_id"]) == (identity, TRACE)
