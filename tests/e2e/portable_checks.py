"""What holds with an Envoy of one's own, whichever version it is."""

import json
import os
import signal
import subprocess
import time

import httpx
import pytest

from tests.e2e.portable import PORTABLE, PortableSystem

MEBIBYTE = 1024 * 1024


def backend_of(response):
    return response.status_code, response.headers.get("x-pointsman-backend")


def went_undecided(response):
    return response.status_code == 200 and "x-pointsman-decision" not in response.headers


def questions(system):
    """Return how often Envoy has asked the sidecar."""
    url = f"http://{system.settings.envoy_admin}/stats?filter=ext_proc.streams_started"
    return int(httpx.get(url).text.rpartition(": ")[2])


def validate(envoy, config):
    """Return what Envoy says of a configuration that it does not take, else nothing."""
    command = [envoy, "--mode", "validate", "--log-level", "error", "-c", config]
    checked = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    return checked.stderr if checked.returncode else ""


class PortableChecks:
    """Subclasses say which Envoy; each test puts back what it broke."""

    @pytest.fixture(scope="class")
    @classmethod
    def envoy(cls):
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def running(cls, tmp_path_factory, envoy):
        system = PortableSystem(tmp_path_factory.mktemp("portable"), envoy)
        try:
            yield system.start()
        finally:
            system.stop()

    @pytest.fixture
    def portable(self, running):
        running.calm()
        running.write(running.base_documents())
        running.until(
            lambda: running.chat().headers["x-pointsman-route"] == "default", "base rules"
        )
        running.calm()
        return running

    # ── decided ────────────────────────────────────────────────────────────

    def test_a_decision_chooses_the_cluster_and_writes_the_body(self, portable):
        model = portable.fresh_route({"model": "large", "temperature": 0.25}, "small")
        body = f'{{ "model":"{model}","x": 1e2 ,"messages":[],"router":null,"temperature":1}}'

        response = portable.post(body.encode())

        assert backend_of(response) == (200, "large")
        seen = portable.last("large")
        assert seen.body == '{ "model":"large","x": 1e2 ,"messages":[],"temperature":0.25}'
        assert seen.header("content-length") == str(len(seen.body))
        assert seen.header("x-pointsman-cluster") == "large"
        assert seen.header("host") == "127.0.0.1", "the cluster's, not ours"
        assert not portable.models["small"].requests()

    def test_answers_say_what_was_decided(self, portable):
        headers = portable.chat().headers

        assert headers["x-pointsman-decision"] == headers["x-trace-id"]
        assert headers["x-pointsman-strategy"] == "fallback"
        assert headers["x-pointsman-attempts"] == "1"
        assert int(headers["x-pointsman-config-version"]) > 0
        assert (headers["x-model-name"], headers["x-provider-name"]) == ("small", "demo")

    def test_an_edit_is_live_without_a_new_configuration_of_envoy(self, portable):
        portable.put("routes", "first", {"order": 1, "router": "large"})

        portable.until(lambda: backend_of(portable.chat()) == (200, "large"), "the rule")

    def test_an_unknown_model_takes_the_default_chain(self, portable):
        portable.drop("routes", "default")

        def route():
            return portable.chat(model="nobody-knows-me").headers["x-pointsman-route"]

        portable.until(lambda: route() == "(default)", "no route")

        assert portable.last("small").json()["model"] == "small"

    def test_a_header_that_came_twice_is_matched_as_one(self, portable):
        rule = {"order": 1, "match": {"headers.x-tag": "1,2"}, "router": "large"}
        portable.put("routes", "tagged", rule)
        tags = [("x-tag", "1"), ("x-tag", "2")]

        portable.until(lambda: backend_of(portable.chat(headers=tags)) == (200, "large"), "tags")

    def test_the_path_of_an_endpoint_replaces_v1(self, portable):
        base = f"http://{portable.models['large'].address}/openai/v1"
        portable.put("backends", "large", portable.backend("large", endpoints=[base]))
        model = portable.fresh_route("large")

        portable.post(json.dumps({"model": model}).encode(), "/v1/chat/completions?a=/v1")

        assert portable.last("large").path == "/openai/v1/chat/completions?a=/v1"

    def test_a_chunked_body_is_decided(self, portable):
        text = b'{"model":"any","messages":[]}'

        response = portable.post(iter([text[:10], text[10:]]))

        assert backend_of(response) == (200, "small")
        seen = portable.last("small")
        assert seen.json() == {"model": "small", "messages": []}
        assert seen.header("content-length") == str(len(seen.raw))
        assert seen.header("transfer-encoding") is None

    def test_a_body_of_a_mebibyte_is_decided(self, portable):
        response = portable.chat("x" * MEBIBYTE)

        assert backend_of(response) == (200, "small")
        assert len(portable.last("small").json()["messages"][0]["content"]) == MEBIBYTE

    def test_an_http2_client_is_served(self, portable):
        with httpx.Client(base_url=portable.base, http1=False, http2=True) as client:
            response = client.post("/v1/chat/completions", json={"model": "a", "messages": []})

        assert backend_of(response) == (200, "small")

    def test_a_stream_comes_token_by_token_and_as_it_was_asked_for(self, portable):
        portable.models["small"].control(tokens_per_second=20)
        body = {"model": "any", "stream": True, "messages": [{"role": "user", "content": "a b c"}]}
        arrived = []

        with portable.http.stream("POST", "/v1/chat/completions", json=body) as response:
            for line in filter(None, response.iter_lines()):
                arrived.append((time.monotonic(), line.removeprefix("data: ")))

        assert response.headers["x-pointsman-backend"] == "small"
        assert arrived[-1][0] - arrived[0][0] > 0.1
        *events, done = [text for _, text in arrived]
        assert done == "[DONE]"
        assert all(json.loads(event)["choices"] for event in events), "an empty one breaks clients"

    def test_metrics_count_what_was_decided_and_what_was_refused(self, portable):
        def decisions(**labels):
            return portable.metric("pointsman_decisions_total", **labels)

        rejected = decisions(outcome="rejected")
        model = portable.fresh_route("large")
        portable.post(b"{")

        portable.until(lambda: decisions(route=model, backend="large", outcome="ok") > 0, "ok")
        portable.until(lambda: decisions(outcome="rejected") > rejected, "rejected")

    # ── refused ────────────────────────────────────────────────────────────

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "invalid_json"),
            (b"{", "invalid_json"),
            (b'{"router":{"type":"percentage","targets":["small"]}}', "invalid_router"),
        ],
        ids=["empty", "cut", "router"],
    )
    def test_a_refusal_is_openais_error_and_reaches_no_model(self, portable, body, code):
        response = portable.post(body)

        assert backend_of(response) == (400, None)
        assert response.json()["error"]["code"] == code
        assert not any(model.requests() for model in portable.models.values())

    def test_a_backend_without_a_cluster_is_503(self, portable):
        portable.put("routes", "first", {"order": 1, "router": "canary"})

        portable.until(lambda: backend_of(portable.chat()) == (503, "canary"), "no such cluster")

    # ── clients that try ───────────────────────────────────────────────────

    def test_forged_headers_change_nothing(self, portable):
        forged = {"x-pointsman-cluster": "large", "x-pointsman-decision": "forged"}

        decided = portable.chat(headers=forged)
        undecided = portable.http.get("/v1/models", headers=forged)

        assert backend_of(decided) == (200, "small")
        assert decided.headers["x-pointsman-decision"] != "forged"
        assert portable.models["small"].requests()[0].header("x-pointsman-decision") is None
        assert undecided.json()["data"][0]["id"] == "small"
        assert not portable.models["large"].requests()

    def test_keys_of_clients_reach_no_model(self, portable):
        keys = {"authorization": "Bearer k", "api-key": "k", "x-api-key": "k"}

        portable.chat(headers=keys)
        portable.http.get("/v1/models", headers=keys)

        for seen in portable.models["small"].requests():
            assert not keys.keys() & dict(seen.headers).keys()

    # ── undecided ──────────────────────────────────────────────────────────

    def test_a_get_goes_to_the_default_route(self, portable):
        response = portable.http.get("/v1/models")

        assert response.json()["data"][0]["id"] == "small"
        assert went_undecided(response)

    def test_other_paths_go_to_the_default_route_unread(self, portable):
        body = b"not json " * 200_000
        asked = questions(portable)

        for content in (body, iter([body[:100], body[100:]])):
            portable.post(content, "/v1/audio/transcriptions")

            seen = portable.last("small")
            assert seen.path == "/v1/audio/transcriptions"
            assert seen.raw == body
            assert seen.header("x-pointsman-cluster") is None
        assert questions(portable) == asked

    # ── faults ─────────────────────────────────────────────────────────────

    def test_without_the_sidecar_the_default_route_serves(self, portable):
        sidecar, workers = portable.local.children["sidecar"], portable.worker_pids()
        sidecar.kill(signal.SIGKILL)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        try:
            forged = {"x-pointsman-cluster": "large"}
            answers = [portable.chat(model="small", headers=forged) for _ in range(20)]
        finally:
            sidecar.start()

        assert all(went_undecided(answer) for answer in answers)
        assert portable.last("small").json()["model"] == "small"
        portable.until(lambda: backend_of(portable.chat()) == (200, "small"), "decisions again")

    def test_a_hung_sidecar_costs_the_first_requests_only(self, portable):
        def failed_open():
            return portable.metric("pointsman_decisions_total", outcome="fail_open")

        before = failed_open()
        portable.signal_workers(signal.SIGSTOP)
        try:
            portable.until(lambda: went_undecided(portable.chat(model="small")), "fail open")
            portable.until(
                lambda: portable.chat(model="small").elapsed.total_seconds() < 0.3, "health check"
            )
        finally:
            portable.signal_workers(signal.SIGCONT)
        portable.until(lambda: backend_of(portable.chat()) == (200, "small"), "decisions again")
        portable.until(lambda: failed_open() > before, "the metric")

    # ── the file ───────────────────────────────────────────────────────────

    def test_the_file_is_valid_as_it_stands_and_with_its_sample(self, running, tmp_path):
        head, _, tail = PORTABLE.read_text().partition("  # - name: ")
        sample, _, rest = tail.partition("\n\n")
        whole = tmp_path / "portable.yaml"
        whole.write_text(head + "  - name: " + sample.replace("\n  # ", "\n  ") + "\n" + rest)

        assert "api.openai.com" in sample
        assert validate(running.envoy, PORTABLE) == ""
        assert validate(running.envoy, whole) == ""
