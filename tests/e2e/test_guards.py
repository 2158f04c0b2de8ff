"""Conditional routers through real Envoy: guards that say yes, no or nothing, and limits."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Service(BaseHTTPRequestHandler):
    """A guard that dislikes the word "bad", and says nothing to "hang"."""

    protocol_version = "HTTP/1.1"
    released = threading.Event()

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(asked)
        said = asked["body"]["messages"][-1]["content"]
        if said == "hang":
            self.released.wait(30)
        answer = json.dumps({"passed": said != "bad"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def guard():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.asked = []
    server.daemon_threads = True
    Service.released.clear()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    Service.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def guarded(system, guard):
    """The system with a guard that may take its time, and a router that asks it."""
    url = f"http://127.0.0.1:{guard.server_port}/"
    check = {"name": "words", "type": "guardrail", "guard_id": "words"}
    clean = {"name": "clean", "conditions": {"pre_request.words.passed": True}, "targets": "large"}
    router = {"type": "conditional", "pre_request": [check], "routes": [clean], "on_error": "fail"}
    router["targets"] = ["canary"]
    system.put("guards", "words", {"url": url, "timeout_ms": 800})
    system.put("routers", "guarded", router)
    system.until(lambda: answered(system, "good", "router/guarded") == "large", "the guard")
    guard.asked.clear()
    return system


def answered(system, text, model, **options):
    response = system.chat(text, model=model, **options)
    assert response.status_code == 200, response.text
    return response.headers["x-pointsman-backend"]


def test_a_guard_decides_between_routes(guarded, guard):
    assert answered(guarded, "good", "router/guarded") == "large"
    assert answered(guarded, "bad", "router/guarded") == "canary"
    assert [one["body"]["messages"][-1]["content"] for one in guard.asked] == ["good", "bad"]


def test_a_guard_that_says_nothing_is_waited_for_and_is_no_yes(guarded):
    """0.8 s is longer than Envoy waits without guards; the default chain would be `small`."""
    errors = guarded.metric("pointsman_errors_total", code="guard_timeout")

    assert answered(guarded, "hang", "router/guarded") == "canary"

    guarded.until(
        lambda: guarded.metric("pointsman_errors_total", code="guard_timeout") == errors + 1,
        "the count of guards that were late",
    )


def test_a_router_in_a_request_may_ask_a_guard_of_the_operator(guarded, guard):
    check = {"name": "w", "type": "guard", "guard_id": "words", "parameters": {"strict": True}}
    router = {
        "type": "conditional",
        "pre_request": [check],
        "routes": [{"conditions": {"pre_request.w.passed": False}, "targets": "canary"}],
    }

    assert answered(guarded, "bad", "any", router=router) == "canary"
    assert guard.asked[-1]["parameters"] == {"strict": True}
    assert "router" not in guard.asked[-1]["body"]


def test_a_limit_is_used_up_by_whom_it_is_for(system):
    limit = {"name": "rl", "type": "rate_limiter", "limit": 3, "period": "total"}
    route = {"conditions": {"pre_request.rl.allowed": True}, "targets": "large"}
    router = {
        "type": "conditional",
        "pre_request": [limit | {"entity": "user_id"}],
        "routes": [route, {"targets": "canary"}],
    }
    system.put("routers", "limited", router)
    system.until(lambda: answered(system, "hi", "router/limited") == "canary", "the limit")

    def seen(user, backend):
        return answered(system, "hi", "router/limited", headers={"x-user-id": user}) == backend

    assert seen("ann", "large")
    system.until(lambda: seen("ann", "canary"), "the limit of ann")
    assert seen("bob", "large")
