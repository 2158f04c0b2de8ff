"""Budgets: what is used up rejects, switches or leaves out, on every worker, and over restarts."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from tests.e2e.system import System

HOUR = 3600


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    system = System(tmp_path_factory.mktemp("budgets"))
    yield system.start()
    system.stop()


@pytest.fixture
def budget(system):
    """Write a budget, wait until it is live, and take it away in the end."""
    written = []

    def write(name, **document):
        written.append(name)
        system.put("budgets", name, {"per": "month", **document})
        live = f"http://{system.settings.admin}/api/v1/budgets/{name}/usage"
        system.until(lambda: httpx.get(live).status_code == 200, f"budget {name} in control")

    yield write
    for name in written:
        system.drop("budgets", name)
    system.until(lambda: system.chat().status_code == 200, "no budget any more")


def usage(system, name):
    return httpx.get(f"http://{system.settings.admin}/api/v1/budgets/{name}/usage").json()


def used(system, name):
    return sum(value["used"] for value in usage(system, name)["values"])


def ask(system, user, **fields):
    return system.chat(headers={"x-user-id": user}, **fields)


def reject_all_workers(system, user):
    """Wait until no worker lets the user through; a worker hears of others within a moment."""
    system.until(
        lambda: all(ask(system, user).status_code == 429 for _ in range(6)), f"{user} is rejected"
    )


def test_a_user_who_is_at_the_end_is_rejected_and_others_go_on(system, budget):
    budget("per-user", limit=3, unit="requests", scope="user.id", match={"model": "any"})
    system.until(lambda: ask(system, "warm").status_code == 200 and used(system, "per-user"), "on")

    answers = [ask(system, "greedy") for _ in range(12)]
    reject_all_workers(system, "greedy")
    refused = ask(system, "greedy")

    assert [one.status_code for one in answers][:3] == [200, 200, 200]
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "budget_exceeded"
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert 0 < int(refused.headers["retry-after"]) <= 31 * 24 * HOUR + HOUR
    assert ask(system, "modest").status_code == 200
    system.until(
        lambda: system.metric("pointsman_budget_rejections_total", budget="per-user") > 0, "counted"
    )
    assert system.metric("pointsman_budget_used_ratio", budget="per-user") >= 1


def test_dollars_are_counted_from_answers_and_switch_to_the_cheap_router(
    system, budget, monkeypatch
):
    dear = system.fresh_backend("large", price={"per_input_token": 1, "per_output_token": 1})
    model = system.fresh_route(dear)
    system.until_all_workers_use(dear)
    cheap = {"router": {"type": "fallback", "targets": ["small"]}}
    budget("dollars", limit=1, unit="usd", scope="user.id", match={"model": model}, then=cheap)

    def last():
        return ask(system, "spender", model=model).headers

    system.until(lambda: last()["x-pointsman-backend"] == "small", "the cheap router")

    headers = last()
    assert headers["x-pointsman-route"] == "(budget)"
    assert headers["x-pointsman-strategy"] == "budget/fallback"
    assert ask(system, "thrifty", model=model).headers["x-pointsman-backend"] == dear
    [spent] = [one for one in usage(system, "dollars")["values"] if one["used"] >= 2]
    assert spent["value"].startswith("~"), "no names of people"
    monkeypatch.setenv("POINTSMAN_ADMIN", str(system.settings.admin))
    shown = CliRunner().invoke(app, ["budgets", "usage", "dollars"])
    assert spent["value"] in shown.stdout
    assert "1 usd per month" in shown.stdout


def test_what_was_spent_outlives_workers_and_control(system, budget):
    budget("lasting", limit=2, unit="requests", scope="user.id")
    system.until(
        lambda: any(ask(system, "old").status_code == 429 for _ in range(4)), "the end of it"
    )
    reject_all_workers(system, "old")
    before = set(system.worker_pids())
    for pid in before:
        os.kill(pid, signal.SIGTERM)
    system.until(lambda: not before & set(system.worker_pids()), "new workers", 20)
    system.until(lambda: len(system.worker_pids()) == 2, "all of them")

    def decided():
        return ask(system, "fresh").headers.get("x-pointsman-route") == "default"

    system.until(decided, "a decision")

    answers = [ask(system, "old").status_code for _ in range(6)]

    assert set(answers) == {429}


@pytest.mark.parametrize("mode", ["allow", "reject"])
def test_without_redis_each_budget_does_as_it_says(tmp_path, mode):
    system = System(tmp_path, workers=1).start()
    try:
        document = {"limit": 3, "unit": "requests", "per": "month", "scope": "user.id"}
        system.put("budgets", "b", {**document, "on_store_down": mode})
        system.until(lambda: ask(system, "one").status_code == 200 and used(system, "b"), "on")
        system.local.children["redis"].kill()
        if mode == "reject":
            system.until(lambda: ask(system, "new").status_code == 503, "nothing is known")
            refused = ask(system, "new")
            assert refused.json()["error"]["code"] == "budget_exceeded"
            assert refused.headers["retry-after"] == "1"
        else:
            answers = [ask(system, "two").status_code for _ in range(5)]
            assert answers == [200, 200, 200, 429, 429], "this worker counts on by itself"
    finally:
        system.stop()


LIMIT, RATE = 150, 100


@pytest.mark.slow
def test_two_nodes_of_four_workers_let_little_more_through_than_the_limit(tmp_path, capsys):
    one = System(tmp_path / "one", workers=4, node="one")
    two = System(tmp_path / "two", one.redis_address, workers=4, node="two")
    try:
        one.start()
        two.start(with_redis=False)
        two.until(lambda: two.chat().headers.get("x-pointsman-route") == "default", "rules")
        document = {"limit": LIMIT, "unit": "requests", "per": "month", "scope": "user.id"}
        one.put("budgets", "b", document)
        for each in (one, two):
            each.until(lambda each=each: used(each, "b") >= 0, "the budget")
            each.until(lambda each=each: ask(each, "warm").status_code == 200, "a decision")
        passed = _passed([one, two])
        with capsys.disabled():
            print(f"\nlimit {LIMIT}, {RATE} requests/s, 2 nodes x 4 workers: {passed} passed")
        # The others' share of what comes in 0.15 s; and once more, for a machine that is busy.
        assert LIMIT <= passed <= LIMIT + 2 * 0.15 * RATE
    finally:
        two.stop()
        one.stop()


def _passed(systems):
    """Ask for one user at RATE requests a second on all nodes; return how many passed."""
    with ThreadPoolExecutor(32) as pool:
        started, asked = time.monotonic(), []
        for number in range(3 * LIMIT):
            time.sleep(max(0.0, started + number / RATE - time.monotonic()))
            asked.append(pool.submit(ask, systems[number % len(systems)], "greedy"))
        return sum(one.result().status_code == 200 for one in asked)
