"""A collector of spans: OTLP over real HTTP, with the real messages."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Keeps every span that it gets, with the attributes of the process that sent it."""

    def __init__(self, port):
        self.port = port
        self.requests = []
        self._lock = threading.Lock()

    def start(self):
        kept = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                kept.take(self.path, dict(self.headers), body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def take(self, path, headers, body):
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        with self._lock:
            self.requests.append((path, headers, ExportTraceServiceRequest.FromString(body)))

    def spans(self):
        with self._lock:
            requests = list(self.requests)
        return [
            span
            for _, _, request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def of_trace(self, trace_id):
        return [span for span in self.spans() if span.trace_id.hex() == trace_id]

    def resource(self):
        _, _, request = self.requests[-1]
        return attributes(request.resource_spans[0].resource)


def attributes(thing):
    """Return the attributes of a span or a resource as Python's values."""
    return {pair.key: _value(pair.value) for pair in thing.attributes}


def _value(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)
