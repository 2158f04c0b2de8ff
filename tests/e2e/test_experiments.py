"""An experiment from traffic through real Envoy, and feedback by clients, to its report."""

import itertools
import json
import os
import subprocess
import sys

import httpx
import pytest

pytestmark = pytest.mark.e2e

REQUESTS = 120
TRIAL = {
    "state": "running",
    "metrics": [{"name": "thumbs", "kind": "proportion", "direction": "increase"}],
}
ROUTE = {
    "order": 1,
    "match": {"model": "trial"},
    "router": {"type": "experiment", "experiment": "trial"},
}
_versions = itertools.count(1)


def sums(system):
    return f"pointsman:experiment:trial:{system.version}"


def ask(system, number):
    return system.chat(model="trial", headers={"x-user-id": f"user-{number}"})


def report(system, *arguments):
    """Return what the command prints, run as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "sidecar.cli", "experiments", "report", "trial", *arguments],
        env=os.environ
        | {"POINTSMAN_REDIS_URL": system.settings.redis_url, "NO_COLOR": "1", "COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(system):
    return json.loads(report(system, "--json"))


def assigned_to(system, *arms):
    fields = [f"{arm}|assigned|n" for arm in arms]
    return sum(float(count or 0) for count in system.redis.hmget(sums(system), *fields))


@pytest.fixture
def tried(system):
    """A system with an experiment whose candidate fails and is rescued, and what was asked."""
    canary = system.fresh_backend("canary")
    system.until_all_workers_use(canary)
    system.models["canary"].control(status=500)
    rescued = {"type": "fallback", "targets": [canary, "small"]}
    arms = [
        {"name": "control", "router": "small", "share": 50},
        {"name": "candidate", "router": rescued, "share": 50},
    ]
    system.version = next(_versions)
    system.put("experiments", "trial", TRIAL | {"arms": arms, "version": system.version})
    system.put("routes", "trial", ROUTE)
    answers = []
    while len(answers) < REQUESTS:
        answer = ask(system, len(answers))
        # Until the route is live, the one before it decides.
        answers += [answer] if answer.headers["x-pointsman-route"] == "trial" else []
    system.answers = answers
    system.until(lambda: assigned_to(system, "control", "candidate") == REQUESTS, "all outcomes")
    return system


def test_a_report_has_what_was_asked_and_what_people_said(tried):
    moved = [each.headers["x-pointsman-backend"] for each in tried.answers]
    for number, answer in enumerate(tried.answers[:40]):
        body = {
            "decision": answer.headers["x-pointsman-decision"],
            "metric": "thumbs",
            "value": number % 4 > 0,
        }
        assert tried.http.post("/v1/feedback", json=body).is_success

    found = read(tried)

    arms = found["arms"]
    assert (found["experiment"], found["state"]) == ("trial", "running")
    assert arms["control"]["assigned"] + arms["candidate"]["assigned"] == REQUESTS
    assert set(moved) == {"small"}
    assert arms["control"]["served"] == arms["control"]["assigned"]
    assert arms["candidate"]["served"] == 0
    assert arms["candidate"]["metrics"]["error_rate"]["estimate"] == 0
    assert arms["candidate"]["as_served"]["error_rate"]["estimate"] == 1
    assert sum(arm["metrics"]["thumbs"]["n"] for arm in arms.values()) == 40
    assert found["srm"]["p_value"] > 0.01
    assert not found["srm"]["flag"]
    assert found["recommendation"].startswith("Go on: ")


def test_a_split_that_is_not_as_the_shares_say_is_shown_before_any_result(tried):
    tried.redis.hincrbyfloat(sums(tried), "control|assigned|n", 300)

    found, text = read(tried), report(tried)

    assert found["srm"]["flag"]
    assert found["srm"]["p_value"] < 0.001
    assert text.index("SAMPLE RATIO MISMATCH") < text.index("error_rate")


def test_the_admin_address_has_the_same_report(tried):
    base = f"http://{tried.settings.admin}/api/v1/experiments"

    answer, unknown = httpx.get(f"{base}/trial/report"), httpx.get(f"{base}/trail/report")

    assert answer.json() | {"at": ""} == read(tried) | {"at": ""}
    assert unknown.status_code == 404
    assert unknown.headers["content-type"] == "application/problem+json"
    assert 'did you mean "trial"' in unknown.json()["detail"]


def test_an_arm_without_any_backend_is_failed_whoever_answers(system):
    """Its requests go on to the default chain: a guard must see that the arm is down."""
    system.version = next(_versions)
    documents = system.base_documents()
    documents["backends"]["canary"]["enabled"] = False
    arms = [
        {"name": "control", "router": "small", "share": 50},
        {"name": "candidate", "router": "canary", "share": 50},
    ]
    documents["experiments"] = {"trial": TRIAL | {"arms": arms, "version": system.version}}
    documents["routes"] = {"trial": ROUTE}
    system.write(documents)
    system.until(lambda: ask_twenty_until_both(system), "the rules")

    system.until(lambda: read(system)["arms"]["candidate"]["as_served"], "the outcomes")
    candidate = read(system)["arms"]["candidate"]
    assert candidate["served"] == 0
    assert candidate["metrics"]["error_rate"]["estimate"] == 0
    assert candidate["as_served"]["error_rate"]["estimate"] == 1


def ask_twenty_until_both(system):
    answers = [ask(system, number) for number in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    return {answer.headers["x-pointsman-route"] for answer in answers} == {"trial", "(default)"}


def test_an_arm_that_nobody_answers_for_is_failed(system):
    """No backend takes tools, so that it is refused; the request is in its arm all the same."""
    system.version = next(_versions)
    documents = system.base_documents()
    for document in documents["backends"].values():
        document["capabilities"] = ["chat"]
    arms = [{"name": name, "router": name, "share": 50} for name in ("small", "large")]
    documents["experiments"] = {"trial": TRIAL | {"arms": arms, "version": system.version}}
    documents["routes"] = {"trial": ROUTE}
    system.write(documents)
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}

    def is_refused():
        asked = [system.chat(model="trial", tools=[tool]) for _ in range(8)]
        return {answer.json()["error"]["code"] for answer in asked} == {"no_candidate"}

    system.until(is_refused, "the rules")
    user = {"x-user-id": "somebody"}
    assert system.chat(model="trial", tools=[tool], headers=user).status_code == 503

    system.until(lambda: assigned_to(system, "small", "large"), "outcomes")
    arms = read(system)["arms"].values()
    found = [arm["as_served"]["error_rate"]["estimate"] for arm in arms if arm["assigned"]]
    assert set(found) == {1}
