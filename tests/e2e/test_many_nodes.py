"""Redis is more than one process, and the one that has the rules dies, or is another one soon."""

import time

import pytest

from tests import redis_nodes
from tests.e2e.traffic import Traffic

pytestmark = pytest.mark.e2e

PREFIX = "{pointsman}:"
TRIAL = {
    "state": "running",
    "version": 1,
    "arms": [
        {"name": "control", "router": "small", "share": 50},
        {"name": "candidate", "router": "large", "share": 50},
    ],
}
ROUTE = {
    "order": 1,
    "match": {"headers.x-user-id": {"prefix": "user-"}},
    "router": {"type": "experiment", "experiment": "trial"},
}


def use(system, master):
    """Edit and read on this node from now on."""
    system.redis.close()
    system.redis = master.client


def started(system, master):
    """Start, and write rules that put each request of `Traffic` into an experiment."""
    use(system, master)
    system.start(with_redis=False)
    documents = system.base_documents()
    documents["experiments"] = {"trial": TRIAL}
    documents["routes"]["trial"] = ROUTE
    system.write(documents)
    system.until(lambda: "x-pointsman-decision" in system.chat().headers, "a decision", 30)
    return system


def counted(system):
    """Return how many requests the experiment's sums have."""
    fields = ("control|assigned|n", "candidate|assigned|n")
    found = system.redis.hmget(f"{system.settings.prefix}experiment:trial:1", fields)
    return sum(float(count or 0) for count in found)


def is_written(system, traffic):
    """Whether Redis has acknowledged each outcome once."""
    name = "pointsman_experiment_outcomes_total"
    return system.metric(name, result="kept") >= len(traffic.statuses)


def edit(system, name):
    """Write a route, wait until it is live, and return how long that took."""
    began = time.monotonic()
    route = {"order": 0, "match": {"model": name}, "router": "canary"}
    system.until(lambda: system.put("routes", name, route) is None, "a write", 20)
    wrote = time.monotonic()
    system.until(lambda: system.chat(model=name).headers["x-pointsman-route"] == name, name)
    print(f"{name}: written after {wrote - began:.2f} s, live {time.monotonic() - wrote:.2f} later")


def test_the_master_dies_under_load_and_nobody_notices(own_system):
    with redis_nodes.watched() as redises:
        first = redises.master()
        system = started(own_system(redis_url=redises.url), first)
        with Traffic(system, threads=2, pause=0.02) as traffic:
            system.until(lambda: counted(system) > 50, "outcomes")
            asked, killed = len(traffic.statuses), time.monotonic()
            first.kill()
            system.until(lambda: redises.master() is not first, "another master", 20)
            print(f"another master after {time.monotonic() - killed:.2f} s")
            use(system, redises.master())
            edit(system, "edited-afterwards")
            system.until(lambda: len(traffic.statuses) > asked + 50, "more requests")
        system.until(lambda: is_written(system, traffic), "all outcomes")

        assert traffic.failures == []
        lost = len(traffic.statuses) - counted(system)
        last_second = sum(killed - 1 <= at <= killed for at, _ in traffic.versions)
        print(f"{len(traffic.statuses)} asked, {lost} lost, {last_second} a second")
        assert 0 <= lost <= last_second
        system.until(lambda: system.ready()["ready"] is True, "readiness")


@pytest.mark.slow
def test_a_slot_moves_and_its_new_owner_is_restarted_under_load(own_system):
    with redis_nodes.cluster() as redises:
        first = redises.owner()
        second = next(node for node in redises.nodes if node is not first)
        system = started(own_system(redis_url=redises.url, prefix=PREFIX), first)
        with Traffic(system, threads=2, pause=0.02) as traffic:
            system.until(lambda: counted(system) > 50, "outcomes")
            redises.move(first, second)
            use(system, second)
            edit(system, "edited-after-the-move")
            second.kill()
            system.until(lambda: system.metric("pointsman_store_up") == 0, "an outage")
            second.start()
            edit(system, "edited-after-the-restart")
            asked = len(traffic.statuses)
            system.until(lambda: len(traffic.statuses) > asked + 50, "more requests")
        system.until(lambda: is_written(system, traffic), "all outcomes")

        assert traffic.failures == []
        assert counted(system) == len(traffic.statuses)
