"""A model that fails is out on all nodes, and comes back by itself."""

import time

import httpx
import pytest

from tests.e2e.system import System

pytestmark = pytest.mark.e2e

SOON = {"base_seconds": 1, "max_seconds": 4}
LATE = {"base_seconds": 300, "max_seconds": 300}


def failing(system, model="canary", **ejection):
    """Return a virtual model that asks a backend which fails, and that backend, until it is out."""
    backend = system.fresh_backend(model, ejection=ejection)
    virtual = system.fresh_route(backend, "large")
    system.until_all_workers_use(backend)
    system.calm()
    system.models[model].control(status=500)
    system.until(lambda: first(system, virtual) == "large", f"{backend} is out")
    return virtual, backend


def first(system, model, attempts="1"):
    """Return who answers ``model`` at the first attempt; nobody when it took more."""
    answer = system.chat(model=model)
    assert answer.status_code == 200
    took = answer.headers["x-pointsman-attempts"]
    return answer.headers["x-pointsman-backend"] if took == attempts else None


def state(system, backend):
    stats = httpx.get(f"http://{system.settings.admin}/api/v1/stats").json()
    return stats["backends"][backend]


def explained(system, model):
    body = {"model": model, "messages": []}
    asked = {"request": {"path": "/v1/chat/completions", "body": body}}
    return httpx.post(f"http://{system.settings.admin}/api/v1/explain", json=asked).json()


def test_who_fails_is_last_in_plans_and_all_views_say_so(system):
    virtual, backend = failing(system, **LATE)
    system.until(
        lambda: all(first(system, virtual) == "large" for _ in range(8)), "out on all workers"
    )
    system.models["canary"].forget()

    for _ in range(10):
        assert first(system, virtual) == "large"

    assert system.models["canary"].requests() == []
    why = explained(system, virtual)["notes"]["out"][backend]
    assert why.startswith("out until ")
    assert why.endswith("consecutive failures")
    system.until(lambda: state(system, backend)["reason"] == why, "the reason in the statistics")
    assert state(system, backend)["healthy"] is False
    assert system.metric("pointsman_backend_healthy", backend=backend) == 0
    counted = {"backend": backend, "reason": "consecutive_failures"}
    assert system.metric("pointsman_ejections_total", **counted) == 1
    log = system.local.children["sidecar"].log.read_text()
    assert any(backend in line and "backend_out" in line for line in log.splitlines())


def test_when_all_are_out_they_are_tried_all_the_same(system):
    one = system.fresh_backend("small", ejection=LATE)
    other = system.fresh_backend("canary", ejection=LATE)
    virtual = system.fresh_route(one, other)
    for name in ("small", "canary"):
        system.models[name].control(status=503)
    system.until(
        lambda: (
            system.chat(model=virtual).status_code == 503
            and {one, other} == set(explained(system, virtual)["notes"].get("out", {}))
        ),
        "both are out",
    )

    answer = system.chat(model=virtual)

    assert (answer.status_code, answer.headers["x-pointsman-attempts"]) == (503, "2")


def test_a_model_that_works_again_is_tried_and_comes_back(system):
    virtual, backend = failing(system, **SOON)
    system.calm()

    system.until(lambda: first(system, virtual) == backend, "a request on trial", 20)
    system.until(lambda: state(system, backend)["healthy"], "back")

    for _ in range(8):
        system.until(lambda: first(system, virtual) == backend, "its own place in all workers")


def test_a_model_that_asks_to_be_left_alone_is_left_alone(system):
    backend = system.fresh_backend("canary")
    virtual = system.fresh_route(backend, "large")
    system.until_all_workers_use(backend)
    system.calm()
    system.models["canary"].control(retry_after=120)
    assert system.chat(model=virtual).headers["x-pointsman-attempts"] == "2"

    system.until(
        lambda: "left alone for 120 s" in (state(system, backend)["reason"] or ""), "it is out"
    )

    asked = len(system.models["canary"].requests())
    system.until(
        lambda: all(first(system, virtual) == "large" for _ in range(4)), "last on all workers"
    )
    assert len(system.models["canary"].requests()) - asked <= 1
    assert system.metric("pointsman_ejections_total", backend=backend, reason="retry_after") == 1


def test_trials_of_a_model_that_still_fails_are_few(system):
    virtual, backend = failing(system, **SOON)
    counted = {"backend": backend, "reason": "trial"}
    system.models["canary"].forget()

    system.until(
        lambda: (
            first(system, virtual) is None
            or system.metric("pointsman_ejections_total", **counted) >= 1
        ),
        "a trial failed",
        20,
    )
    system.until(
        lambda: (
            first(system, virtual) == "large"
            and system.metric("pointsman_ejections_total", **counted) >= 1
        ),
        "it is out again",
    )

    # Two workers, one request each, in at most a few rounds.
    assert len(system.models["canary"].requests()) <= 8


def test_a_second_node_follows_within_a_second_or_so(system, tmp_path):
    other = System(tmp_path, redis_address=system.redis_address, node="other")
    other.models = system.models
    try:
        other.local.start_sidecar()
        other.local.start_envoy()
        backend = system.fresh_backend("canary", ejection=LATE)
        virtual = system.fresh_route(backend, "large")
        for node in (system, other):
            node.until(lambda node=node: first(node, virtual) == backend, "its first answer", 20)
        system.models["canary"].control(status=500)
        system.until(lambda: first(system, virtual) == "large", "out on the node that saw it")
        seen = time.monotonic()
        asked = len(system.models["canary"].requests())

        other.until(lambda: first(other, virtual) == "large", "out on the other node", 5)

        assert time.monotonic() - seen < 5
        assert len(system.models["canary"].requests()) - asked <= 4
    finally:
        other.models = {}
        other.stop()
