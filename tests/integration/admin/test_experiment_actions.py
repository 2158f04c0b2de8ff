"""What an operator may do to an experiment over HTTP, on a real Redis."""

import asyncio

import pytest

from tests.integration.admin.conftest import GOOD

CANARY = {
    "arms": [
        {"name": "now", "router": "a", "share": 90},
        {"name": "next", "router": "a", "share": 10},
    ],
    "key": "user.id",
    "state": "running",
    "rollout": {"steps": [10, 50], "guards": [{"metric": "error_rate", "max_increase": 0.02}]},
}
ROLLED_BACK = [{**CANARY["arms"][0], "share": 100}, {**CANARY["arms"][1], "share": 0}]


@pytest.fixture
async def canary(api):
    """Return the API over a running experiment, version 2."""
    await api.set(GOOD | {"experiments": {"team/canary": CANARY}})
    return api


async def document(api):
    return (await api.get("/experiments/team%2Fcanary")).json()


async def act(api, action, body=None, name="team%2Fcanary"):
    return await api.post(f"/experiments/{name}/{action}", body)


async def shares(api):
    return [arm["share"] for arm in (await document(api))["arms"]]


async def test_it_is_promoted_step_by_step_or_to_a_share(canary, is_problem):
    done = await act(canary, "promote")
    assert (done.status_code, done.json()["version"]) == (200, 3)
    assert await shares(canary) == [50, 50]
    told = is_problem(await act(canary, "promote"), 422)
    assert "is at the last step" in told["detail"]

    await act(canary, "promote", {"to": 62.5})
    assert await shares(canary) == [37.5, 62.5]
    (entry,) = await canary.store.history(1)
    assert entry.what == "team/canary: promoted: next from 50 % to 62.5 %"


async def test_it_is_rolled_back_and_promoted_anew(canary):
    await act(canary, "rollback")
    assert (await document(canary))["arms"] == ROLLED_BACK

    await act(canary, "promote")
    assert (await document(canary))["version"] == 2


async def test_it_is_held_and_resumed(canary):
    await act(canary, "hold")
    assert (await document(canary))["rollout"]["automatic"] is False

    await act(canary, "resume")
    assert (await document(canary))["rollout"]["automatic"] is True


async def test_it_is_paused_started_and_stopped_for_good(canary, is_problem):
    await act(canary, "pause")
    assert (await document(canary))["state"] == "paused"
    await act(canary, "start")
    assert (await document(canary))["state"] == "running"
    await act(canary, "stop")
    assert (await document(canary))["state"] == "stopped"
    for action in ("start", "pause", "stop"):
        is_problem(await act(canary, action), 422)

    await act(canary, "resume")
    resumed = await document(canary)
    assert (resumed["state"], resumed["version"]) == ("running", 2)


async def test_a_draft_is_started_and_not_paused(api, is_problem):
    await api.set(GOOD | {"experiments": {"d": CANARY | {"state": "draft"}}})

    is_problem(await act(api, "pause", name="d"), 422)
    assert (await act(api, "start", name="d")).status_code == 200


async def test_it_is_stopped_also_while_another_document_is_wrong(canary):
    await canary.store._redis.hset("pointsman:routes", "bad", '{"router": "nope"}')

    stopped = await act(canary, "stop")

    assert stopped.status_code == 200
    assert "routes.bad.router" in stopped.json()["warnings"][0]


async def test_no_rule_test_holds_it_up(canary):
    tests = {"t": {"request": {}, "expect": {"strategy": "sticky"}}}
    await canary.set(GOOD | {"experiments": {"team/canary": CANARY}, "tests": tests})

    assert (await act(canary, "rollback")).status_code == 200


async def test_many_at_once_lose_nothing_that_others_write(canary):
    answers = await asyncio.gather(
        act(canary, "hold"),
        act(canary, "rollback"),
        *(canary.put(f"/flags/f{n}", {}) for n in range(6)),
    )

    assert {answer.status_code for answer in answers} == {200, 201}
    done = await document(canary)
    assert (done["arms"], done["rollout"]["automatic"]) == (ROLLED_BACK, False)
    assert len((await canary.get("/flags")).json()["items"]) == 6


@pytest.mark.parametrize(
    ("body", "path"), [({"to": 101}, "$.to"), ({"to": "x"}, "$.to"), ({"two": 1}, "$")]
)
async def test_a_wrong_share_is_told(canary, body, path, is_problem):
    told = is_problem(await act(canary, "promote", body), 422)

    assert told["faults"][0]["path"] == path


async def test_an_unknown_experiment_is_404_and_viewers_do_nothing(canary, is_problem):
    told = is_problem(await act(canary, "hold", name="team%2Fcanry"), 404)
    assert 'did you mean "team/canary"?' in told["detail"]
    canary.be("vic", "viewer")
    is_problem(await act(canary, "stop"), 403)
    assert (await document(canary))["state"] == "running"
