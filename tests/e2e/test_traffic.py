"""What the API and the commands tell of traffic is what was sent, through a real Envoy."""

import json
import os
import subprocess
import sys

import httpx
import pytest

from tests.e2e.system import System

pytestmark = pytest.mark.e2e

PRICE = {"per_input_token": 1e-5, "per_output_token": 4e-5}
CHATS, SAVED, REFUSED = 7, 3, 2


class Sent:
    """A system, what it was sent, and the ids that it answered with."""

    def __init__(self, system):
        self.system = system
        self.admin = httpx.Client(base_url=f"http://{system.settings.admin}", timeout=30)
        self.ids = {}
        self.usage = []

    def send(self):
        """Send three kinds of requests, and wait until the last of them is in the log."""
        self.ids["plain"] = [self._chat("plain") for _ in range(CHATS)]
        self.ids["saved"] = [self._chat("saved") for _ in range(SAVED)]
        self.ids["pinned"] = [self._chat("tried", {"x-pointsman-variant": "trial=b"})]
        for _ in range(REFUSED):
            assert self.system.post(b"{").status_code == 400
        last = self.ids["pinned"][0]
        self.system.until(
            lambda: self.admin.get(f"/api/v1/decisions/{last}").status_code == 200, "the log"
        )
        plain = CHATS + SAVED + 1
        # Nodes tell each other what they have counted about once a second.
        self.system.until(
            lambda: self.get("stats")["backends"]["plain"]["requests"] >= plain, "the figures"
        )

    def all_workers_decide(self):
        """Whether all decide by these rules: workers are asked in turn."""
        answers = [self.system.chat(model="warm-up") for _ in range(8)]
        return all(one.headers["x-pointsman-route"] == "rest" for one in answers)

    def _chat(self, model, headers=None):
        answer = self.system.chat(model=model, headers=headers)
        assert answer.status_code == 200
        self.usage.append(answer.json()["usage"])
        return answer.headers["x-pointsman-decision"]

    def get(self, path, **query):
        answer = self.admin.get(f"/api/v1/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def listed(self, **query):
        return [one["id"] for one in self.get("decisions", limit=500, **query)["decisions"]]

    def run(self, *command):
        """Run `pointsman` as an operator would, and return its output and exit code."""
        environment = os.environ | self.system.settings.environment() | {"COLUMNS": "200"}
        done = subprocess.run(
            [sys.executable, "-m", "sidecar.cli", *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout + done.stderr, done.returncode


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    system = System(tmp_path_factory.mktemp("traffic"), variant_pins="allow")
    made = Sent(system)
    try:
        system.start()
        system.write(documents(system))
        system.until(lambda: "plain" in made.get("stats")["backends"], "the rules")
        system.until(lambda: not system.ready()["envoy"]["missing"], "the backends")
        system.until(made.all_workers_decide, "the rules in all workers")
        system.models["large"].control(status=503)
        made.send()
        yield made
    finally:
        made.admin.close()
        system.stop()


def documents(system):
    """Return rules with backends that nothing but the test's own requests reaches."""
    arms = [{"name": name, "router": "plain", "share": 50} for name in ("a", "b")]
    routers = {
        "plain": "plain",
        "saved": {"type": "fallback", "targets": ["broken", "plain"]},
        "tried": {"type": "experiment", "experiment": "trial"},
    }
    return {
        "backends": {
            "warm": system.backend("canary", priority=1),
            "plain": system.backend("small", price=PRICE),
            "broken": system.backend("large", price=PRICE),
            "off": system.backend("small", enabled=False),
        },
        "experiments": {"trial": {"arms": arms, "state": "running"}},
        "routes": {
            name: {"order": 1, "match": {"model": name}, "router": router}
            for name, router in routers.items()
        }
        | {"rest": {"order": 9, "router": "warm"}},
    }


def test_figures_of_the_last_minute_are_what_was_sent(sent):
    found = sent.get("stats")

    plain, broken = found["backends"]["plain"], found["backends"]["broken"]
    tokens_in = sum(one["prompt_tokens"] for one in sent.usage)
    tokens_out = sum(one["completion_tokens"] for one in sent.usage)
    assert (plain["requests"], plain["errors"]) == (CHATS + SAVED + 1, 0)
    assert (broken["requests"], broken["errors"], broken["error_rate"]) == (SAVED, SAVED, 1)
    assert (plain["input_tokens"], plain["output_tokens"]) == (tokens_in, tokens_out)
    cost = tokens_in * PRICE["per_input_token"] + tokens_out * PRICE["per_output_token"]
    assert plain["cost_usd_per_hour"] == pytest.approx(60 * cost, abs=1e-6)
    assert 0 < plain["latency_ms"]["p50"] <= plain["latency_ms"]["p95"] < 10_000
    assert broken["latency_ms"]["p50"] is None
    assert found["totals"]["errors"] == SAVED
    assert found["store_up"]
    assert found["readyz"]["ready"]


def test_backends_are_healthy_as_the_metric_says(sent):
    backends = sent.get("stats")["backends"]

    for name in ("plain", "warm"):
        assert backends[name]["healthy"]
        assert sent.system.metric("pointsman_backend_healthy", backend=name) == 1
    assert (backends["off"]["healthy"], backends["off"]["reason"]) == (None, "disabled")


def test_decisions_are_the_ones_that_clients_were_told_of_newest_first(sent):
    expected = [*sent.ids["plain"], *sent.ids["saved"], *sent.ids["pinned"]]

    assert sent.listed(backend="plain")[::-1] == expected
    assert sent.listed(route="saved", status="fallback") == sent.ids["saved"][::-1]
    assert sent.listed(backend="broken", model="small") == sent.ids["saved"][::-1]
    assert sent.listed(backend="plain", status="failed") == []
    page = sent.get("decisions", backend="plain", limit=4)
    assert sent.listed(backend="plain", before=page["next"])[::-1] == expected[:-4]


def test_a_decision_has_its_attempts_and_its_explanation(sent):
    found = sent.get(f"decisions/{sent.ids['saved'][0]}")

    assert [(one["backend"], one["answered"]) for one in found["attempts"]] == [
        ("broken", False),
        ("plain", True),
    ]
    assert found["explanation"]["route"] == "saved"
    assert [one["backend"] for one in found["explanation"]["plan"]["attempts"]] == [
        "broken",
        "plain",
    ]


def test_an_arm_that_the_request_chose_is_marked_and_no_assignment(sent):
    found = sent.get(f"decisions/{sent.ids['pinned'][0]}")

    assert (found["pinned"], found["assignments"]) == (True, [])
    assert not any(sent.get(f"decisions/{one}")["pinned"] for one in sent.ids["plain"])


def test_commands_show_the_same(sent):
    figures, code = sent.run("stats", "--json")
    assert code == 0
    assert json.loads(figures)["backends"]["plain"]["requests"] == CHATS + SAVED + 1
    shown, _ = sent.run("stats")
    assert all(name in shown for name in ("plain", "broken", "disabled", "healthy"))

    listed, code = sent.run("decisions", "list", "--route", "saved", "--json")
    assert code == 0
    assert [one["id"] for one in json.loads(listed)["decisions"]] == sent.ids["saved"][::-1]
    last = sent.ids["saved"][0]
    assert last in sent.run("decisions", "list", "--status", "fallback")[0]
    told, code = sent.run("decisions", "show", last)
    assert code == 0
    assert "broken failed, plain 200" in told
    assert "by route saved" in told


def test_a_command_that_cannot_be_answered_says_why(sent):
    told, code = sent.run("decisions", "show", "0" * 28)
    assert (code, "72 hours" in told) == (1, True)


@pytest.mark.slow
def test_the_hour_has_the_same_sums(sent):
    def told():
        backends = sent.get("stats/series")["backends"]
        return {name: sum(one["requests"]) for name, one in backends.items()}

    sent.system.until(
        lambda: told().items() >= {"plain": CHATS + SAVED + 1, "broken": SAVED}.items(),
        "the steps to be over",
        seconds=15,
    )
    found = sent.get("stats/series")
    assert sum(found["backends"]["broken"]["errors"]) == SAVED
    assert sum(found["clients"]["errors"]) == 0
