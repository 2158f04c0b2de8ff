"""Feedback by clients through a real Envoy and at the admin address, and what it moves."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from sidecar.telemetry.decision_log import FIELD, read_entry
from sidecar.telemetry.experiments import parse

pytestmark = pytest.mark.e2e

CHECKOUT = {
    "arms": [
        {"name": "control", "router": "small", "share": 50},
        {"name": "canary", "router": "large", "share": 50},
    ],
    "key": "user.id",
    "state": "running",
    "metrics": [
        {"name": "thumbs", "kind": "proportion", "direction": "increase"},
        {"name": "error_rate"},
    ],
}
ROUTE = {
    "order": 1,
    "match": {"model": "tried"},
    "router": {"type": "experiment", "experiment": "checkout"},
}


@pytest.fixture
def tried(system):
    """The shared system with an experiment, and none of its sums."""
    system.put("experiments", "checkout", CHECKOUT)
    system.put("routes", "tried", ROUTE)
    system.until(lambda: ask(system).headers["x-pointsman-route"] == "tried", "the experiment")
    settle(system)
    system.redis.delete("pointsman:experiment:checkout:1")
    return system


def ask(system, user="u1"):
    return system.chat(model="tried", headers={"x-user-id": user})


def arms(system):
    return parse(system.redis.hgetall("pointsman:experiment:checkout:1"))


def assigned(system):
    return sum(arm.assigned for arm in arms(system).values())


def settle(system):
    """Wait until what was asked so far is in Redis."""
    last = ask(system).headers["x-pointsman-decision"]
    system.until(
        lambda: any(read_entry(e[FIELD]).id == last for _, e in newest(system)), "the outcomes"
    )


def newest(system):
    return system.redis.xrevrange("pointsman:decisions", count=50)


def say(system, response, value=True, metric="thumbs", **fields):
    body = {"decision": response.headers["x-pointsman-decision"], "metric": metric, "value": value}
    return system.http.post("/v1/feedback", json=body | fields)


def api(system, body):
    return httpx.post(f"http://{system.settings.admin}/api/v1/feedback", json=body)


def test_outcomes_add_to_the_arms_and_to_the_log_of_decisions(tried):
    users = [f"user-{number}" for number in range(12)]
    responses = [ask(tried, user) for user in users]
    tried.until(lambda: assigned(tried) == 12, "twelve outcomes")

    found = arms(tried)
    by_backend = {"small": "control", "large": "canary"}
    for backend, arm in by_backend.items():
        count = sum(each.headers["x-pointsman-backend"] == backend for each in responses)
        assert (found[arm].assigned, found[arm].served) == (count, count)
        assert found[arm].metrics["latency_ms"].moments.mean > 1
        assert found[arm].metrics["error_rate"].moments.total == 0
    last = responses[-1].headers["x-pointsman-decision"]
    (entry,) = [e for e in (read_entry(f[FIELD]) for _, f in newest(tried)) if e.id == last]
    assert entry.route == "tried"
    assert entry.assignments[0].experiment == "checkout"
    assert 0 < entry.probability <= 1
    assert entry.outcome.answered
    assert entry.outcome.latency_ms > 1


def test_feedback_of_a_client_counts_for_the_arm_that_answered(tried):
    response = ask(tried)
    liked = say(tried, response, comment="very nice")
    disliked = say(tried, response, value=0.25)

    arm = {"small": "control", "large": "canary"}[response.headers["x-pointsman-backend"]]
    assert (liked.status_code, disliked.status_code) == (200, 200)
    assert (liked.json()["replaced"], disliked.json()["replaced"]) == (None, 1.0)
    assert "arms" not in liked.json()
    thumbs = arms(tried)[arm].metrics["thumbs"].moments
    assert (thumbs.n, thumbs.total) == (1, 0.25)
    backend = response.headers["x-pointsman-backend"]
    assert tried.metric("pointsman_feedback_total", backend=backend, metric="thumbs") >= 2


def test_the_admin_address_takes_feedback_of_graders_and_names_the_arm(tried):
    identity = ask(tried).headers["x-pointsman-decision"]
    body = {"decision": identity, "metric": "thumbs", "value": 1, "source": "grader:strict"}
    taken = api(tried, body)
    wrong = api(tried, body | {"value": 3})

    assert taken.status_code == 200
    assert taken.json()["arms"]["checkout"] in {"control", "canary"}
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["path"]) == (
        400, "value_out_of_range", "value",
    )  # fmt: skip
    assert wrong.headers["content-type"] == "application/problem+json"


def test_errors_of_clients_are_openais(tried):
    forged = f"{round(time.time() * 1000) - 60_000:012x}{'0' * 16}"
    body = {"decision": forged, "metric": "thumbs", "value": 1}
    answer = tried.http.post("/v1/feedback", json=body)
    large = tried.http.post("/v1/feedback", json=body | {"comment": "x" * 20_000})

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "decision_not_found"
    assert answer.json()["error"]["param"] == "decision"
    assert (large.status_code, large.json()["error"]["code"]) == (413, "body_too_large")


def test_clients_reach_nothing_else_of_control(tried):
    tried.calm()
    for path in ("/metrics", "/readyz", "/api/v1/feedback", "/docs", "/v1/feedback/../../metrics"):
        answer = tried.http.get(path)
        assert b"pointsman_" not in answer.content, path
        assert "rules" not in answer.text, path
    posted = tried.http.post("/api/v1/explain", json={"id": "0" * 28})
    assert posted.headers.get("content-type") != "application/problem+json"


def test_feedback_is_no_request_to_a_backend(tried):
    response = ask(tried)
    settle(tried)
    before = tried.metric("pointsman_attempts_total")
    assert say(tried, response).status_code == 200
    time.sleep(0.5)

    assert tried.metric("pointsman_attempts_total") == before


def test_a_flood_of_feedback_is_told_to_come_back_later(own_system):
    system = own_system(feedback_per_second=2.0, workers=1).start()
    body = {"decision": "0" * 28, "metric": "thumbs", "value": 1}

    def once(number):
        # Neither a made-up key nor a made-up address makes another caller of a client.
        headers = {"authorization": f"Bearer {number}", "x-pointsman-client": f"10.0.0.{number}"}
        return httpx.post(f"{system.base}/v1/feedback", json=body, headers=headers)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(once, range(40)))

    refused = [each for each in answers if each.status_code == 429]
    assert len(refused) >= 20
    assert int(refused[0].headers["retry-after"]) >= 1
    assert refused[0].json()["error"]["code"] == "rate_limited"
    # Who asks at the admin address is another caller.
    assert api(system, body).status_code == 404


def test_a_control_that_is_killed_loses_at_most_a_second_and_counts_it(own_system):
    system = own_system(workers=1).start()
    system.put("experiments", "checkout", CHECKOUT)
    system.put("routes", "tried", ROUTE)
    system.until(lambda: ask(system).headers["x-pointsman-route"] == "tried", "the experiment")
    settle(system)
    before = assigned(system)
    for number in range(20):
        ask(system, f"early-{number}")
    system.until(lambda: assigned(system) >= before + 20, "the first twenty")
    kept = assigned(system)
    for number in range(20):
        ask(system, f"old-{number}")
    time.sleep(1.0)
    for number in range(20):
        ask(system, f"new-{number}")
    sidecar = system.local.children["sidecar"]
    sidecar.kill()
    sidecar.start()
    asked = set()

    def is_logged_again():
        asked.add(ask(system).headers.get("x-pointsman-decision"))
        return any(read_entry(entry[FIELD]).id in asked for _, entry in newest(system))

    # What Envoy logs until it has reached the new control is lost.
    system.until(is_logged_again, "outcomes of new decisions")

    system.until(lambda: assigned(system) >= kept + 20, "what is older than a second")
    lost = system.metric("pointsman_experiment_outcomes_total", result="lost")
    assert 0 <= lost <= 20


def test_feedback_without_redis_is_503_and_requests_go_on(own_system):
    system = own_system(workers=1).start()
    response = system.chat()
    system.local.children["redis"].kill()

    answer = say(system, response)

    assert answer.status_code == 503
    assert json.loads(answer.content)["error"]["code"] == "store_unreachable"
    assert system.chat().status_code == 200


def test_feedback_without_control_is_told_to_come_later(own_system):
    system = own_system(workers=1).start()
    response = system.chat()
    system.local.children["sidecar"].kill()
    system.until(lambda: say(system, response).status_code == 503, "its end")

    assert say(system, response).json()["error"]["code"] == "feedback_unavailable"
