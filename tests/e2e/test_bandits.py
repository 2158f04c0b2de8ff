"""Bandits through a real Envoy: what earns more gets more, on all workers, after a restart too."""

import signal

import httpx
import pytest

pytestmark = pytest.mark.e2e

FLOOR = 0.05


class Bandit:
    """A stored bandit over two backends of its own: Envoy's ejection of failing ones is per name.

    `small` and `large` are the names of its arms.
    """

    def __init__(self, system, **fields):
        self.system = system
        self.small, self.large = system.fresh_backend("small"), system.fresh_backend("large")
        self.name = f"bandit-{self.small}"
        document = {"type": "bandit", "targets": [self.small, self.large], "floor": FLOOR}
        system.put("routers", self.name, document | fields)
        system.until(lambda: self.ask().headers["x-pointsman-strategy"] == "bandit", self.name)

    def ask(self, **fields):
        return self.system.chat(model=f"router/{self.name}", **fields)

    def probability(self, arm):
        return self.system.metric("pointsman_bandit_probability", router=self.name, arm=arm)

    def explained(self, response):
        """How each arm was drawn, as the worker tells it that decided."""
        question = {"id": response.headers["x-pointsman-decision"]}
        found = httpx.post(f"http://{self.system.settings.admin}/api/v1/explain", json=question)
        return found.json()

    def draws(self, response):
        (router,) = self.explained(response)["routers"]
        return {one["target"]: one["score"] for one in router["candidates"]}

    def teach(self, arm, seconds=30):
        """Ask until control, and each worker, prefers ``arm``."""

        def learned():
            for _ in range(5):
                self.ask()
            return self.probability(arm) > 1 - FLOOR - 0.01

        self.system.until(learned, f"{arm} to be preferred", seconds)
        self.system.until(
            lambda: all(self.draws(self.ask())[arm] > 0.9 for _ in range(8)), "the workers"
        )


def test_a_model_that_fails_falls_to_the_floor(system):
    bandit = Bandit(system)
    system.models["large"].control(status=500)

    bandit.teach(bandit.small)

    assert bandit.probability(bandit.large) == pytest.approx(FLOOR, abs=0.01)
    first = [bandit.explained(bandit.ask())["plan"]["attempts"][0]["backend"] for _ in range(40)]
    assert first.count(bandit.small) > 25
    assert bandit.ask().status_code == 200


def test_people_say_which_model_is_better_and_it_gets_the_traffic(system):
    bandit = Bandit(system, reward="feedback:thumbs", algorithm="epsilon_greedy", epsilon=0.0)

    def liked():
        response = bandit.ask()
        body = {
            "decision": response.headers["x-pointsman-decision"],
            "metric": "thumbs",
            "value": response.headers["x-pointsman-backend"] == bandit.large,
        }
        assert system.http.post("/v1/feedback", json=body).status_code == 200
        return bandit.probability(bandit.large) > 1 - FLOOR - 0.01

    system.until(liked, "the better model to be preferred", seconds=30)

    told = bandit.explained(bandit.ask())
    (effect,) = told["plan"]["effects"]
    assert effect["experiment"] == f"bandit:{bandit.name}"
    assert effect["propensity"] == told["plan"]["probability"]


def test_what_was_learned_outlives_the_sidecar(own_system):
    system = own_system().start()
    bandit = Bandit(system, context="user.tenant")
    system.models["large"].control(status=500)
    bandit.teach(bandit.small)
    before = bandit.probability(bandit.small)

    sidecar = system.local.children["sidecar"]
    sidecar.kill(signal.SIGKILL)
    sidecar.start()
    system.models["large"].reset()

    system.until(lambda: bandit.probability(bandit.small) == pytest.approx(before, abs=0.02), "it")
    system.until(lambda: bandit.draws(bandit.ask())[bandit.small] > 0.9, "a worker that knows it")
    told = bandit.explained(bandit.ask())["routers"][0]["notes"]
    assert told == {"algorithm": "thompson", "learned": True, "bucket": "-"}
