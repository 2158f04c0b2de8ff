"""What workers remember, through the whole system: sessions stay, turns are even."""

import signal
from collections import Counter

import pytest

pytestmark = pytest.mark.e2e

ALICE = {"x-session-id": "s-1", "authorization": "Bearer alice"}


def backends(system, model, count, headers=ALICE):
    """Which backend answered, for so many requests in a row."""
    asked = [system.chat(model=model, headers=headers) for _ in range(count)]
    return [answer.headers["x-pointsman-backend"] for answer in asked]


def pinned(system, where):
    """Wait until the one pin in Redis is at ``where``."""

    def holds():
        (key,) = system.redis.keys("pointsman:pin:*")
        return system.redis.get(key) == where

    system.until(holds, f"a pin at {where}")


def moved(system):
    """Pin a session, move it by switching its backend off and on; return model and backend."""
    model = system.fresh_route("small", "large", type="session")
    system.redis.delete(*system.redis.keys("pointsman:pin:*") or ["none"])
    (home,) = backends(system, model, 1)
    pinned(system, home)
    other = "large" if home == "small" else "small"
    system.put("backends", home, system.backend(home, enabled=False))
    system.until(lambda: set(backends(system, model, 4)) == {other}, "the other one")
    pinned(system, other)
    system.put("backends", home, system.backend(home))
    straight = system.fresh_route(home)
    system.until(lambda: set(backends(system, straight, 4)) == {home}, "it is back")
    return model, other


def test_a_session_stays_where_it_moved_also_when_workers_and_redis_fail(own_system):
    system = own_system().start()

    model, where = moved(system)
    assert set(backends(system, model, 8)) == {where}

    before = system.worker_pids()
    system.signal_workers(signal.SIGKILL)
    system.until(lambda: len(set(system.worker_pids()) - set(before)) == 2, "new workers")
    system.until(lambda: decided(system, model), "decisions")
    assert set(backends(system, model, 8)) == {where}

    system.local.children["redis"].stop()
    assert set(backends(system, model, 8)) == {where}


def decided(system, model):
    answers = [system.chat(model=model, headers=ALICE) for _ in range(4)]
    return all(answer.headers.get("x-pointsman-strategy") == "session" for answer in answers)


def test_turns_are_even_over_all_workers(system):
    model = system.fresh_route("small", "large", type="round_robin", weights=[3, 1])

    found = Counter(backends(system, model, 80))

    # A worker may be in the middle of its circle at both ends of this.
    assert abs(found["small"] - 60) <= 4, found
