"""`/api/v1/config` on a real Redis: the whole configuration, its history, and the way back."""

import asyncio

import msgspec
import pytest

from sidecar.admin import config
from sidecar.config.documents import KINDS
from sidecar.config.yaml_text import read_yaml
from tests.integration.admin.conftest import GOOD

OTHER = GOOD | {"flags": {"f": {"description": "no: on, 12:30, 1e5"}}}
TRIAL = {
    "arms": [{"name": "x", "router": "a", "share": 50}, {"name": "y", "router": "a", "share": 50}],
    "key": "user.id",
    "state": "running",
}
TRYING = GOOD | {"experiments": {"trial": TRIAL}}


def kept(documents):
    return {kind: found for kind, found in documents.items() if found}


async def test_the_whole_configuration_is_read_and_replaced(api):
    read = await api.get("/config")
    assert (list(read.json()), kept(read.json())) == ([*KINDS], GOOD)

    written = await api.put("/config", OTHER, if_match=read.headers["etag"])

    assert (written.status_code, written.json()["version"]) == (200, 2)
    again = await api.get("/config")
    assert kept(again.json()) == OTHER
    assert again.headers["etag"] == written.headers["etag"] != read.headers["etag"]


async def test_it_goes_out_and_in_as_yaml(api):
    await api.put("/config", OTHER, if_match="*")
    read = await api.get("/config", accept="application/yaml")
    assert read.headers["content-type"] == "application/yaml"
    assert read_yaml(read.content) == OTHER
    await api.put("/config", GOOD, if_match="*")

    sent = {"content": read.content, "content_type": "application/yaml", "if_match": "*"}
    assert (await api.put("/config", **sent)).status_code == 200

    assert kept((await api.get("/config")).json()) == OTHER


async def test_a_lost_update_is_412_with_every_difference(api, is_problem):
    read = (await api.get("/config")).headers["etag"]
    await api.put("/routes/new", {"router": "a"})

    told = is_problem(await api.put("/config", OTHER, if_match=read), 412)

    places = [one["path"] for one in told["difference"]]
    assert places == ["routes.new", "flags.f"]
    assert kept((await api.get("/config")).json())["routes"].keys() == {"all", "new"}


async def test_an_edit_by_hand_without_a_version_of_its_own_is_noticed(api, is_problem):
    read = (await api.get("/config")).headers["etag"]
    await api.store._redis.hset("pointsman:flags", "g", "{}")

    is_problem(await api.put("/config", OTHER, if_match=read), 412)


async def test_it_is_not_replaced_by_who_has_not_read_it(api, is_problem):
    is_problem(await api.put("/config", OTHER), 428)
    api.be("bob", "operator")
    is_problem(await api.put("/config", OTHER, if_match="*"), 403)


async def test_of_two_who_replace_everything_one_wins(api):
    read = (await api.get("/config")).headers["etag"]
    answers = await asyncio.gather(
        *(api.put("/config", GOOD | {"flags": {f"f{n}": {}}}, if_match=read) for n in range(4))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    assert len((await api.get("/flags")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("documents", "path"),
    [
        ({"routs": {}}, "routs"),
        ({"routes": []}, "routes"),
        ([], "configuration"),
        ({}, "configuration"),
        ({"backends": {"a": 1}}, "backends.a"),
    ],
)
async def test_what_is_no_configuration_is_refused_with_its_place(api, documents, path, is_problem):
    told = is_problem(await api.put("/config", documents, if_match="*"), 422)

    assert path in [fault["path"] for fault in told["faults"]]
    assert (await api.store.stamp()).version == 1


async def test_a_configuration_that_is_too_large_is_413(api, is_problem, monkeypatch):
    monkeypatch.setattr(config, "MOST_BYTES", 1000)

    is_problem(await api.put("/config", content=b" " * 1001, if_match="*"), 413)


async def test_documents_are_checked_and_nothing_is_written(api):
    wrong = GOOD | {"routes": {"all": {"router": "a"}, "new": {"router": "nope"}}}

    told = (await api.post("/config/validate", wrong)).json()

    assert told["valid"] is False
    assert [fault["path"] for fault in told["faults"]] == ["routes.new.router"]
    change = {"kind": "routes", "name": "new", "before": None, "after": {"router": "nope"}}
    assert told["changes"] == [change]
    assert (await api.post("/config/validate", GOOD)).json() == {
        "valid": True,
        "faults": [],
        "failed_tests": [],
        "changes": [],
    }
    assert (await api.store.stamp()).version == 1


async def test_documents_are_checked_as_laid_over_those_that_are_live(api):
    tests = {"t": {"request": {}, "expect": {"route": "all"}}}
    over = {"routes": {"all": None, "new": {"router": "a"}}, "tests": tests}

    told = (await api.post("/config/validate?merge=true", over)).json()

    assert [fault["path"] for fault in told["faults"]] == ["tests.t.expect.route"]
    over["tests"]["t"]["expect"] = {"backend": "a", "strategy": "sticky"}
    told = (await api.post("/config/validate?merge=true", over)).json()
    assert (told["valid"], told["faults"]) == (False, [])
    assert told["failed_tests"][0]["path"] == "tests.t"
    assert [(one["name"], one["after"] is None) for one in told["changes"]] == [
        ("all", True),
        ("new", False),
        ("t", False),
    ]


async def test_what_is_no_configuration_is_found_wrong(api):
    told = (await api.post("/config/validate", {"routs": {}})).json()

    assert told["valid"] is False
    assert 'did you mean "routes"?' in told["faults"][0]["message"]


async def test_the_history_is_read_page_by_page(api):
    for n in range(4):
        await api.put(f"/flags/f{n}", {})

    first = (await api.get("/config/versions?count=2")).json()["versions"]
    assert [one["version"] for one in first] == [5, 4]
    assert (first[0]["who"], first[0]["what"]) == ("ann", "put flags.f3")
    second = (await api.get("/config/versions?count=9&before=4")).json()["versions"]
    assert [one["version"] for one in second] == [3, 2, 1]


async def test_a_long_history_is_read_whole(api):
    for n in range(45):
        await api.set(GOOD | {"flags": {f"f{n}": {}}})

    found = (await api.get("/config/versions?count=40&before=42")).json()["versions"]

    assert [one["version"] for one in found] == [*range(41, 1, -1)]


async def test_a_version_has_its_configuration_and_what_it_changed(api):
    await api.put("/flags/f", {"share": 5})
    etag = (await api.put("/flags/g", {})).headers["etag"]
    await api.delete("/flags/g", if_match=etag)

    version = (await api.get("/config/versions/3")).json()
    assert (version["version"], version["config"]["flags"]) == (3, {"f": {"share": 5}, "g": {}})
    changes = (await api.get("/config/versions/2/changes")).json()["changes"]
    assert changes == [{"kind": "flags", "name": "f", "before": None, "after": {"share": 5}}]
    back = (await api.get("/config/versions/4/changes?to=1")).json()["changes"]
    assert back == [{"kind": "flags", "name": "f", "before": {"share": 5}, "after": None}]
    first = (await api.get("/config/versions/1/changes")).json()["changes"]
    assert [one["name"] for one in first] == ["a", "all"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/config/versions/99", 404),
        ("/config/versions/99/changes", 404),
        ("/config/versions/1/changes?to=99", 404),
        ("/config/versions/0", 422),
        ("/config/versions/x", 422),
        ("/config/versions?count=0", 422),
        ("/config/versions/9007199254740993", 422),
    ],
)
async def test_versions_that_are_not_there_are_told(api, path, status, is_problem):
    is_problem(await api.get(path), status)


async def test_an_earlier_version_is_made_live_again(api):
    await api.put("/flags/f", {})

    rolled = await api.post("/config/rollback", {"version": 1})

    assert (rolled.status_code, rolled.json()["version"]) == (200, 3)
    assert kept((await api.get("/config")).json()) == GOOD
    (entry,) = await api.store.history(1)
    assert (entry.who, entry.what) == ("ann", "rollback to 1")


async def test_a_rollback_that_would_mix_an_experiments_data_needs_force(api, is_problem):
    await api.set(TRYING)
    other = TRIAL | {"key": "user.tenant", "version": 2}
    await api.put("/experiments/trial", other, if_match="*")

    told = is_problem(await api.post("/config/rollback", {"version": 2}), 422)
    assert [fault["path"] for fault in told["faults"]] == ["experiments.trial.version"]
    api.be("bob", "operator")
    is_problem(await api.post("/config/rollback?force=true", {"version": 2}), 403)
    api.be("ann", "admin")

    forced = await api.post("/config/rollback?force=true", {"version": 2})
    assert "its data restarts" in forced.json()["warnings"][0]
    assert (await api.get("/experiments/trial")).json() == TRIAL | {"version": 3}


async def test_an_experiment_that_runs_is_not_changed_without_force(api, is_problem):
    await api.set(TRYING)
    changed = TRIAL | {"key": "session"}

    told = is_problem(await api.put("/experiments/trial", changed, if_match="*"), 422)
    assert [fault["path"] for fault in told["faults"]] == ["experiments.trial.key"]
    replaced = GOOD | {"experiments": {"trial": changed}}
    is_problem(await api.put("/config", replaced, if_match="*"), 422)
    assert (await api.post("/config/validate", replaced)).json()["valid"] is False

    forced = await api.put("/experiments/trial?force=true", changed, if_match="*")
    assert forced.json()["warnings"] == [
        "experiments.trial: gets a new version, and its data restarts"
    ]
    assert (await api.get("/experiments/trial")).json() == changed | {"version": 2}


async def test_a_version_that_would_not_be_live_is_not_rolled_back_to(api, is_problem):
    await api.store._redis.hset("pointsman:routes", "wrong", '{"router": "nope"}')
    await api.store.apply(
        (await api.store.load()).documents, based_on=None, who="redis", what="by hand"
    )
    await api.delete("/routes/wrong", if_match="*")

    told = is_problem(await api.post("/config/rollback", {"version": 2}), 422)

    assert [fault["path"] for fault in told["faults"]] == ["routes.wrong.router"]


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        (b"{}", 422, "$"),
        (b'{"version": "1"}', 422, "$.version"),
        (b'{"version": 0}', 422, "$.version"),
        (b'{"version": 1, "vers": 1}', 422, "$"),
        (b'{"version": 77}', 404, None),
        (b"{", 400, "$"),
        (b" " * 2000, 413, None),
    ],
)
async def test_a_rollback_says_what_is_wrong_with_it(api, body, status, path, is_problem):
    told = is_problem(await api.post("/config/rollback", content=body), status)

    assert [fault["path"] for fault in told["faults"]] == ([path] if path else [])


async def test_a_document_that_is_no_json_goes_out_as_its_text_and_not_in_again(api, is_problem):
    await api.store._redis.hset("pointsman:routes", "bad", "{")

    whole = (await api.get("/config")).json()
    assert whole["routes"]["bad"] == "{"
    told = is_problem(await api.put("/config", whole, if_match="*"), 422)
    assert [fault["path"] for fault in told["faults"]] == ["routes.bad"]
    assert b"bad: '{'" in (await api.get("/config", accept="application/yaml")).content


async def test_ten_thousand_routes_are_edited_one_by_one(api):
    routes = {f"r{n}": {"order": n, "router": "a"} for n in range(10_000)}
    await api.set(GOOD | {"routes": routes})

    edited = await api.put(
        "/routes/r5", {"order": 5, "router": "a", "enabled": False}, if_match="*"
    )

    assert edited.status_code == 200
    found = msgspec.json.decode((await api.get("/routes")).content)
    assert len(found["items"]) == 10_000
