"""Why did this request go there? Asked of a running system in every way there is."""

import json
import os
import subprocess
import sys

import httpx
import pytest

pytestmark = pytest.mark.e2e

RULE = {
    "order": 1,
    "match": {"all": [{"user.tier": "premium"}, {"prompt.chars": {"lt": 100}}]},
    "router": {
        "type": "percentage",
        "targets": ["small", {"model": "large", "temperature": 0.5}],
        "targets_percentages": [50, 50],
    },
}
PREMIUM = {"x-user-tier": "premium"}


@pytest.fixture
def ruled(system):
    system.put("routes", "premium", RULE)
    system.until(
        lambda: system.chat(headers=PREMIUM).headers["x-pointsman-route"] == "premium", "the rule"
    )
    return system


def api(system, question):
    return httpx.post(f"http://{system.settings.admin}/api/v1/explain", json=question)


def pointsman(system, *arguments, body=b""):
    return subprocess.run(
        [sys.executable, "-m", "sidecar.cli", "explain", *arguments],
        env=os.environ | system.settings.environment() | {"NO_COLOR": "1", "COLUMNS": "160"},
        input=body,
        capture_output=True,
        timeout=30,
        check=False,
    )


def names(request):
    """The names of the headers that a model has seen."""
    return {name for name, _ in request.headers}


def test_a_past_request_is_explained_by_its_id(ruled):
    response = ruled.chat(headers=PREMIUM)
    identity = response.headers["x-pointsman-decision"]

    found = api(ruled, {"id": identity}).json()

    assert (found["id"], found["route"]) == (identity, "premium")
    assert str(found["config_version"]) == response.headers["x-pointsman-config-version"]
    (asked,) = found["routes"]
    assert [clause["value"] for clause in asked["why"]["all"]] == ["premium", 5]
    (router,) = found["routers"]
    assert (router["type"], router["probability"]) == ("percentage", 0.5)
    assert len(router["draws"]) == 1
    assert found["plan"]["attempts"][0]["backend"] == response.headers["x-pointsman-backend"]


def test_a_past_request_is_explained_on_the_command_line(ruled):
    identity = ruled.chat(headers=PREMIUM).headers["x-pointsman-decision"]

    told, scripted = pointsman(ruled, identity), pointsman(ruled, identity, "--json")

    assert told.returncode == 0, told.stderr
    assert '✓ user.tier eq "premium"  is "premium"' in told.stdout.decode()
    assert "by route premium" in told.stdout.decode()
    assert json.loads(scripted.stdout)["id"] == identity


def test_each_of_many_requests_is_known_whichever_worker_decided(ruled):
    ids = [ruled.chat(headers=PREMIUM).headers["x-pointsman-decision"] for _ in range(12)]

    assert [api(ruled, {"id": identity}).json()["id"] for identity in ids] == ids


def test_the_rules_of_that_time_explain_it_after_they_have_changed(ruled):
    identity = ruled.chat(headers=PREMIUM).headers["x-pointsman-decision"]
    ruled.drop("routes", "premium")
    ruled.until(
        lambda: ruled.chat(headers=PREMIUM).headers["x-pointsman-route"] == "default", "the edit"
    )

    assert api(ruled, {"id": identity}).json()["route"] == "premium"


def test_a_refused_request_carries_an_id_and_is_explained(ruled):
    refused = ruled.chat(router={"type": "percentage", "targets": ["small"]})

    found = api(ruled, {"id": refused.headers["x-pointsman-decision"]}).json()

    assert refused.status_code == 400
    assert found["refusal"]["code"] == refused.json()["error"]["code"] == "invalid_router"
    assert found["refusal"]["param"] == refused.json()["error"]["param"]


def test_an_unknown_id_is_404_and_exit_code_1(ruled):
    answer = api(ruled, {"id": "0" * 28})
    told = pointsman(ruled, "0" * 28)

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert told.returncode == 1
    assert b"POINTSMAN_RECORD_DECISIONS" in told.stderr


def test_a_new_request_is_explained_and_reaches_no_model(ruled):
    ruled.calm()
    body = {"model": "any", "messages": [{"role": "user", "content": "hello"}]}
    text = json.dumps(body)

    found = api(ruled, {"request": {"headers": PREMIUM, "body": text}, "seed": 1}).json()
    told = pointsman(
        ruled,
        "--json",
        "--seed",
        "1",
        "--header",
        "x-user-tier:premium",
        body=text.encode(),
    )

    assert found["route"] == "premium"
    assert json.loads(told.stdout)["plan"] == found["plan"]
    assert not any(model.requests() for model in ruled.models.values())


def test_nobody_is_told_on_the_request_unless_the_settings_allow_it(ruled):
    response = ruled.chat(headers=PREMIUM | {"x-pointsman-explain": "1"})

    assert "x-pointsman-explain" not in response.headers
    for model in ruled.models.values():
        for request in model.requests():
            assert "x-pointsman-explain" not in names(request)


KEY = "2bb80d537b1da3e3"  # the API key "secret"


@pytest.fixture(scope="module")
def telling(tmp_path_factory):
    from tests.e2e.system import System

    system = System(tmp_path_factory.mktemp("telling"), explain_from=f"10.0.0.0/8,{KEY}", workers=1)
    try:
        yield deciding(system.start())
    finally:
        system.stop()


def deciding(system):
    """Wait until Envoy asks the worker: before that, requests fail open."""
    system.until(lambda: "x-pointsman-decision" in system.chat().headers, "a decision")
    return system


ASKING = {"x-pointsman-explain": "1", "authorization": "Bearer secret"}


def test_who_may_ask_is_told_in_the_response(telling):
    telling.calm()
    response = telling.chat(headers=ASKING)

    found = json.loads(response.headers["x-pointsman-explain"])
    assert found["id"] == response.headers["x-pointsman-decision"]
    assert found["route"] == "default"
    assert len(response.headers["x-pointsman-explain"]) <= 4096
    seen = names(telling.last(response.headers["x-pointsman-backend"]))
    assert not seen & {"x-pointsman-explain", "authorization"}


def test_a_refusal_is_explained_in_the_response(telling):
    response = telling.chat(headers=ASKING, router={"type": "nope"})

    assert response.status_code == 400
    found = json.loads(response.headers["x-pointsman-explain"])
    assert found["refusal"]["code"] == "invalid_router"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-pointsman-explain": "1"},
        {"x-pointsman-explain": "1", "authorization": "Bearer other"},
        {"x-pointsman-explain": "1", "x-forwarded-for": "10.0.0.1"},
        {"authorization": "Bearer secret"},
        {"x-pointsman-explai": "1", "authorization": "Bearer secret"},
    ],
)
def test_all_others_are_told_nothing(telling, headers):
    telling.calm()
    response = telling.chat(headers=headers)

    assert response.status_code == 200
    assert "x-pointsman-explain" not in response.headers
    seen = names(telling.last(response.headers["x-pointsman-backend"]))
    assert not any(name.startswith("x-pointsman-expl") for name in seen)


def test_an_address_that_may_ask_is_told(own_system):
    system = deciding(own_system(explain_from="127.0.0.0/8", workers=1).start())

    response = system.chat(headers={"x-pointsman-explain": "1"})

    assert json.loads(response.headers["x-pointsman-explain"])["route"] == "default"
