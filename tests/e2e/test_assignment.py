"""Who is in which arm of an experiment, through real Envoy."""

import pytest

pytestmark = pytest.mark.e2e

USERS = [f"user-{number}" for number in range(60)]


def experiment(candidate, **fields):
    arms = [
        {"name": "control", "router": "small", "share": 20},
        {"name": "candidate", "router": "large", "share": candidate},
    ]
    return {"arms": arms, "state": "running", **fields}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    from tests.e2e.system import System

    system = System(tmp_path_factory.mktemp("assignment"), variant_pins="allow")
    try:
        system.start()
        system.put("experiments", "tone", experiment(10))
        router = {"type": "experiment", "experiment": "tone"}
        system.put("routes", "tone", {"order": 1, "match": {"model": "tone"}, "router": router})
        system.put("routes", "rest", {"order": 2, "match": {"model": "tone"}, "router": "canary"})
        system.until(lambda: ask(system, pin="candidate") == ("tone", "large"), "the experiment")
        yield system
    finally:
        system.stop()


def ask(system, user="somebody", pin=None):
    headers = {"x-user-id": user} | ({"x-pointsman-variant": pin} if pin else {})
    found = system.chat(model="tone", headers=headers).headers
    return found["x-pointsman-route"], found["x-pointsman-backend"]


def test_a_raise_moves_only_those_who_were_in_no_arm(shop):
    before = {user: ask(shop, user) for user in USERS}
    again = {user: ask(shop, user) for user in USERS}
    shop.put("experiments", "tone", experiment(70))
    shop.until(lambda: any(ask(shop, user) != before[user] for user in USERS), "the raise is live")
    after = {user: ask(shop, user) for user in USERS}

    assert again == before
    assert {*before.values()} == {("tone", "small"), ("tone", "large"), ("rest", "canary")}
    moved = {(before[user], after[user]) for user in USERS if after[user] != before[user]}
    assert moved == {(("rest", "canary"), ("tone", "large"))}


def test_assignments_are_counted_and_those_of_pinned_requests_are_not(shop):
    name = "pointsman_experiment_assignments_total"
    user = next(user for user in USERS if ask(shop, user) == ("tone", "small"))

    def counts():
        return [shop.metric(name, experiment="tone", arm=arm) for arm in ("control", "candidate")]

    shop.until(lambda: settled(shop, counts), "all outcomes")
    control, candidate = counts()
    for _ in range(3):
        assert ask(shop, user) == ("tone", "small")
        assert ask(shop, user, pin="tone=candidate") == ("tone", "large")

    shop.until(lambda: counts()[0] == control + 3, "the outcomes")
    shop.until(
        lambda: shop.metric("pointsman_errors_total", code="variant_pinned") >= 3, "the pins"
    )
    assert counts() == [control + 3, candidate]


def settled(shop, counts):
    """Tell whether no outcome is on its way: decisions and outcomes are as many."""
    before = counts()
    marker = shop.metric("pointsman_decisions_total")
    shop.chat(model="canary")
    shop.until(lambda: shop.metric("pointsman_decisions_total") > marker, "one more outcome")
    return counts() == before
