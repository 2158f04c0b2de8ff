"""A canary that drives itself: real Envoy, simulated models, steady traffic of many users."""

import json
import os
import subprocess
import sys
import time

import pytest

from sidecar.demo.examples import example_documents
from tests.e2e.traffic import Traffic

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

GUARDS = [{"metric": "error_rate", "max_increase": 0.1}]
RESCUED = {"type": "fallback", "targets": ["canary", "small"]}
"""Clients of this arm see no error of the canary."""


def experiment(share=20, **rollout):
    return {
        "arms": [
            {"name": "control", "router": "small", "share": 100 - share},
            {"name": "canary", "router": RESCUED, "share": share},
        ],
        "state": "running",
        "rollout": {"steps": [20, 60, 100], "guards": GUARDS, "min_exposures": 20, **rollout},
    }


def documents(system, **fields):
    rules = system.base_documents()
    route = {"order": 1, "router": {"type": "experiment", "experiment": "checkout"}}
    return rules | {
        "experiments": {"checkout": experiment(**fields)},
        "routes": rules["routes"] | {"checkout": route},
    }


def started(make, **fields):
    system = make(node="one").start()
    system.write(documents(system, **fields))
    headers = {"x-user-id": "somebody"}
    system.until(
        lambda: system.chat(headers=headers).headers["x-pointsman-route"] == "checkout", "route"
    )
    return system


def share(system):
    """Return the canary's share as it is stored."""
    document = json.loads(system.redis.hget("pointsman:experiments", "checkout"))
    return document["arms"][1]["share"]


def history(system, who="rollout"):
    """Return the controller's entries, oldest first."""
    entries = [entry for _, entry in system.redis.xrange("pointsman:history")]
    return [entry for entry in entries if entry["who"] == who]


def test_a_canary_that_fails_behind_its_fallback_is_rolled_back_by_itself(own_system, capsys):
    system = started(own_system, hold_seconds=600)
    with Traffic(system) as traffic:
        system.until(
            lambda: system.metric("pointsman_attempts_total", backend="canary", code="200") > 30,
            "a canary that is well",
            30,
        )
        asked = len(traffic.statuses)
        failed = time.monotonic()
        system.models["canary"].control(status=500)
        system.until(lambda: share(system) == 0, "the roll-back", 60)
        written = time.monotonic()
        version = int(system.redis.get("pointsman:version"))
        requests = len(traffic.statuses) - asked
        system.until(lambda: traffic.first_with(version) < written + 5, "the new rules")
    live = traffic.first_with(version) - written
    (entry,) = history(system)
    evidence = json.loads(entry["evidence"])
    seen = evidence["arms"]["canary"]["error_rate"]
    broken = seen["estimate"] * seen["n"]
    with capsys.disabled():
        print(
            f"\nrolled back {written - failed:.1f} s after the canary began to fail, "
            f"{requests} requests later, {broken:.0f} of them to the canary; live {live:.3f} s "
            f"after the write was seen\n  {entry['what']}"
        )
    assert traffic.failures == []
    assert "checkout: rolled back from 20 %: error_rate" in entry["what"]
    assert evidence["step"]["action"] == "roll_back"
    assert system.metric("pointsman_experiment_rollbacks_total", experiment="checkout") == 1
    assert system.metric("pointsman_experiment_share", experiment="checkout", arm="control") == 100


def test_a_healthy_canary_is_promoted_step_by_step_and_no_edit_is_lost(own_system, capsys):
    system = started(own_system)
    began = time.monotonic()
    with Traffic(system) as traffic:
        for number in range(400):
            # By hand, and all the time: the controller's writes must neither fail nor win.
            system.put("flags", f"flag-{number}", {"enabled": True})
            if share(system) == 100:
                break
            time.sleep(0.1)
    with capsys.disabled():
        print(
            f"\n100 % after {time.monotonic() - began:.1f} s and {len(traffic.statuses)} requests"
        )
    assert share(system) == 100
    assert [json.loads(entry["evidence"])["step"]["share"] for entry in history(system)] == [
        60,
        100,
    ]
    assert system.redis.hlen("pointsman:flags") == number + 1
    assert system.metric("pointsman_experiment_srm_p_value", experiment="checkout") > 0.001
    assert traffic.failures == []


def test_another_node_takes_over_when_the_one_that_leads_dies(own_system, capsys):
    system = started(own_system, hold_seconds=600)
    other = own_system(node="two", redis_address=system.redis_address, workers=1)
    other.local.start_sidecar()

    def leads():
        return [each.metric("pointsman_rollout_leader") for each in (system, other)]

    def is_led_by_the_other():
        now = leads()
        if now == [1, 0]:
            system.redis.delete("pointsman:lease:rollout")  # the next to come takes it
        return now == [0, 1]

    system.until(is_led_by_the_other, "the other node leads", 30)
    with Traffic(system) as traffic:
        system.until(lambda: len(traffic.statuses) > 100, "some traffic", 30)
        other.local.children["sidecar"].kill()
        killed = time.monotonic()
        system.models["canary"].control(status=500)
        system.until(lambda: share(system) == 0, "the roll-back", 60)
    with capsys.disabled():
        print(f"\nrolled back {time.monotonic() - killed:.1f} s after the leading node was killed")
    assert [entry["what"].split(":")[1] for entry in history(system)] == [" rolled back from 20 %"]
    assert system.metric("pointsman_experiment_rollbacks_total", experiment="checkout") == 1


def test_the_kill_switch_stops_the_canary_at_once(own_system):
    system = started(own_system, hold_seconds=600, guards=[])
    environment = os.environ | system.settings.environment()
    command = [sys.executable, "-m", "sidecar.cli", "experiments", "rollback", "checkout"]
    with Traffic(system) as traffic:
        system.until(lambda: len(traffic.statuses) > 50, "some traffic", 30)
        before = int(system.redis.get("pointsman:version"))
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        system.until(lambda: traffic.first_with(before + 1) < time.monotonic(), "the new rules")
    system.models["canary"].forget()
    for number in range(50):
        system.chat(headers={"x-user-id": f"later-{number}"})

    assert share(system) == 0
    assert system.models["canary"].requests() == []
    (_, entry), *_ = system.redis.xrevrange("pointsman:history", count=1)
    assert entry["what"] == "checkout: rolled back: canary from 20 % to 0 %"


def test_the_demos_canary_is_rolled_back_when_its_model_begins_to_fail(own_system, capsys):
    """The rules of `make run`: what anybody can try with the fault switch of the model."""
    system = own_system(node="one").start()
    addresses = {name: model.address for name, model in system.models.items()}
    rules = example_documents(addresses)
    for name in addresses:
        rules["backends"][name]["model"] = name  # what these models are called here
    system.write(rules)

    def canary_share():
        document = json.loads(system.redis.hget("pointsman:experiments", "canary"))
        return document["arms"][1]["share"]

    user = {"x-user-id": "somebody"}
    system.until(
        lambda: system.chat(headers=user).headers["x-pointsman-route"] == "canary", "the rules"
    )
    with Traffic(system) as traffic:
        system.until(lambda: len(traffic.statuses) > 100, "some traffic", 30)
        asked, failed = len(traffic.statuses), time.monotonic()
        system.models["canary"].control(status=500)
        system.until(lambda: canary_share() == 0, "the roll-back", 60)
        took, requests = time.monotonic() - failed, len(traffic.statuses) - asked
    (entry,) = history(system)
    with capsys.disabled():
        print(f"\nthe demo's canary: {took:.1f} s and {requests} requests\n  {entry['what']}")
    assert entry["what"].startswith("canary: rolled back from 20 %: error_rate")
    assert traffic.failures == []
