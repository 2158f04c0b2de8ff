"""Processes that die, hang or restart: Envoy, the sidecar, Redis."""

import json
import os
import signal
import socket
import time

import pytest

from tests.e2e.system import System

pytestmark = pytest.mark.e2e
NODE = socket.gethostname()


def decided(response):
    return response.status_code == 200 and "x-pointsman-decision" in response.headers


def failed_open(response):
    return response.status_code == 200 and "x-pointsman-decision" not in response.headers


@pytest.fixture(scope="module")
def fragile(tmp_path_factory):
    """One system for this file's tests; each puts back what it broke."""
    folder = tmp_path_factory.mktemp("fragile")
    system = System(folder, ca_file=folder / "no-authorities.pem")
    try:
        yield system.start()
    finally:
        system.stop()


@pytest.fixture(autouse=True)
def recovered(request):
    """Begin with a system that has got over what the test before did to it."""
    if "fragile" in request.fixturenames:
        system = request.getfixturevalue("fragile")
        system.write(system.base_documents())
        system.until(
            lambda: all(decided(system.chat()) for _ in range(10)), "decisions, ten in a row"
        )


class TestSidecar:
    def test_killed_it_fails_open_and_comes_back(self, fragile):
        sidecar = fragile.local.children["sidecar"]
        workers = fragile.worker_pids()

        sidecar.kill(signal.SIGKILL)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        answers = [fragile.chat(model="whatever") for _ in range(20)]

        assert all(failed_open(answer) for answer in answers)
        body = fragile.last("small").json()
        assert body["model"] == "small", "the upstream's own model name, although nobody decided"
        sidecar.start()
        fragile.until(lambda: decided(fragile.chat()), "decisions after the restart")
        fragile.until(
            lambda: fragile.metric("pointsman_decisions_total", outcome="ok") > 0, "metrics again"
        )

    def test_one_worker_killed_is_replaced_and_nothing_is_lost(self, fragile):
        victim = fragile.worker_pids()[0]

        os.kill(victim, signal.SIGKILL)
        answers = [fragile.chat() for _ in range(50)]

        assert {answer.status_code for answer in answers} == {200}
        fragile.until(
            lambda: len(fragile.worker_pids()) == 2 and victim not in fragile.worker_pids(),
            "a new worker",
        )
        fragile.until(lambda: all(decided(fragile.chat()) for _ in range(10)), "all decided")

    def test_hung_it_fails_open_quickly_and_recovers(self, fragile):
        fragile.signal_workers(signal.SIGSTOP)
        try:
            answers = [fragile.chat() for _ in range(10)]
            assert {answer.status_code for answer in answers} == {200}
            fragile.until(lambda: failed_open(fragile.chat()), "fail open")
            started = time.monotonic()
            assert failed_open(fragile.chat())
            assert time.monotonic() - started < 2.0, "a hung sidecar must not cost every request"
        finally:
            fragile.signal_workers(signal.SIGCONT)
        fragile.until(lambda: decided(fragile.chat()), "decisions again")

    def test_a_drain_under_load_loses_no_request(self, fragile):
        from concurrent.futures import ThreadPoolExecutor

        sidecar = fragile.local.children["sidecar"]
        with ThreadPoolExecutor(8) as pool:
            pending = [pool.submit(fragile.status_alone) for _ in range(400)]
            sidecar.stop()
            ended = sidecar.log.read_text()
            sidecar.start()
            statuses = {task.result() for task in pending}

        assert statuses == {200}
        assert '"event": "draining"' in ended
        assert "task_ended" not in ended, "it is SIGTERM that ends the process, and nothing else"
        fragile.until(lambda: decided(fragile.chat()), "decisions again")


class TestEnvoy:
    def test_restarted_without_the_sidecar_it_serves_the_last_good_resources(self, fragile):
        sidecar, envoy = (fragile.local.children[name] for name in ("sidecar", "envoy"))
        sidecar.stop()
        envoy.stop()

        envoy.start()

        fragile.until(lambda: failed_open(fragile.chat()), "the default chain")
        sidecar.start()
        fragile.until(lambda: decided(fragile.chat()), "decisions again")

    def test_what_envoy_refuses_is_shown_like_a_wrong_document(self, fragile):
        """A backend that is right by itself; the authorities that TLS needs are missing."""
        document = {**fragile.backend("large"), "endpoints": ["https://127.0.0.1:9"]}
        fragile.put("backends", "tls", document)

        fragile.until(lambda: fragile.ready()["rules"].get("envoy_rejection"), "the rejection")

        assert "clusters.json" in fragile.ready()["rules"]["envoy_rejection"]
        assert "tls" in fragile.ready()["rules"]["envoy_rejection"]
        fragile.until(
            lambda: fragile.metric("pointsman_config_rejections_total", code="envoy") >= 1, "count"
        )
        assert all(decided(fragile.chat()) for _ in range(10))
        fragile.drop("backends", "tls")
        fragile.until(lambda: not fragile.ready()["rules"]["envoy_rejection"], "the recovery")


class TestRedis:
    def test_lost_for_a_while_rules_stay_and_edits_follow_when_it_is_back(self, fragile):
        redis = fragile.local.children["redis"]
        documents = fragile.base_documents()

        redis.kill(signal.SIGKILL)
        fragile.until(lambda: fragile.metric("pointsman_store_up") == 0, "the loss is seen")
        assert all(decided(fragile.chat()) for _ in range(10))

        redis.start()
        documents["routes"]["default"] = {"order": 1, "router": "large"}
        fragile.until(fragile.redis.ping, "Redis")
        fragile.write(documents)
        fragile.until(
            lambda: fragile.chat().headers["x-pointsman-backend"] == "large", "the new rules"
        )
        fragile.until(lambda: fragile.metric("pointsman_store_up") == 1, "store up")

    def test_flushed_the_last_good_rules_serve_on(self, fragile):
        before = fragile.chat().headers["x-pointsman-backend"]

        fragile.redis.flushall()
        fragile.until(
            lambda: fragile.metric("pointsman_config_rejections_total") > 0, "the rejection"
        )

        assert fragile.chat().headers["x-pointsman-backend"] == before
        fragile.write(fragile.base_documents())
        fragile.until(
            lambda: fragile.chat().headers["x-pointsman-backend"] == "small", "the base rules"
        )

    def test_a_wrong_document_changes_nothing_and_says_where_it_is_wrong(self, fragile):
        fragile.write(fragile.base_documents())
        fragile.put("routes", "typo", {"order": 1, "match": {"modell": "x"}, "router": "small"})

        fragile.until(lambda: "routes.typo" in json.dumps(fragile.ready()), "the report")

        assert decided(fragile.chat())
        fragile.until(
            lambda: "routes.typo.match.modell" in fragile.redis.get(f"pointsman:status:{NODE}"),
            "the status in Redis",
        )
        fragile.drop("routes", "typo")
        fragile.until(lambda: "routes.typo" not in json.dumps(fragile.ready()), "the recovery")

    def test_a_thousand_edits_a_second_end_in_the_last_one(self, fragile):
        fragile.write(fragile.base_documents())
        for number in range(1000):
            fragile.put("routes", "busy", {"order": 1, "router": ["small", "large"][number % 2]})
            if number % 100 == 0:
                assert fragile.chat().status_code == 200

        fragile.until(lambda: fragile.chat().headers["x-pointsman-backend"] == "large", "the last")
        assert {fragile.chat().headers["x-pointsman-backend"] for _ in range(20)} == {"large"}

    def test_down_at_the_start_the_last_good_rules_are_read_from_disk(self, fragile):
        fragile.write(fragile.base_documents())
        fragile.until(lambda: fragile.chat().headers["x-pointsman-backend"] == "small", "base")
        sidecar, redis = (fragile.local.children[name] for name in ("sidecar", "redis"))
        sidecar.stop()
        redis.stop()

        sidecar.start()
        fragile.until(lambda: decided(fragile.chat()), "decisions without Redis")

        assert fragile.ready()["rules"]["source"] == "last_good"
        redis.start()
        fragile.until(fragile.redis.ping, "Redis")
        fragile.write(fragile.base_documents())
        fragile.until(lambda: fragile.ready()["rules"]["source"] == "redis", "Redis' rules")


def test_all_workers_busy_nothing_is_lost(own_system):
    from concurrent.futures import ThreadPoolExecutor

    system = own_system(workers=1).start()
    with ThreadPoolExecutor(64) as pool:
        statuses = set(pool.map(system.status_alone, ["x" * 20_000] * 600))

    assert statuses == {200}
