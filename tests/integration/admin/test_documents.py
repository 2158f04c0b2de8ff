"""`/api/v1/{kind}` on a real Redis: what is written, what is refused, and what is never lost."""

import asyncio
import json
from urllib.parse import quote

import pytest

from sidecar.admin.documents import MOST_BYTES
from sidecar.admin.samples import SAMPLES
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import KINDS, Documents

ROUTE = {"router": "a", "order": 5}


async def test_a_document_is_created_read_replaced_and_removed(api):
    created = await api.put("/routes/new", ROUTE)
    assert (created.status_code, created.json()["version"]) == (201, 2)
    assert created.headers["etag"] == f'"{created.json()["etag"]}"'

    read = await api.get("/routes/new")
    assert (read.status_code, read.json()) == (200, ROUTE)
    assert read.headers["etag"] == created.headers["etag"]

    replaced = await api.put("/routes/new", {"router": "a"}, if_match=read.headers["etag"])
    assert (replaced.status_code, replaced.json()["version"]) == (200, 3)
    assert replaced.headers["etag"] != read.headers["etag"]

    removed = await api.delete("/routes/new", if_match=replaced.headers["etag"])
    assert (removed.status_code, removed.json()["version"]) == (200, 4)
    assert (await api.get("/routes/new")).status_code == 404


async def test_who_wrote_what_is_in_the_history(api):
    api.be("bob", "operator")
    await api.put("/routes/new", ROUTE)

    (entry,) = await api.store.history(1)
    assert (entry.version, entry.who, entry.what) == (2, "bob", "put routes.new")


async def test_a_lost_update_is_412_with_what_is_there_and_the_difference(api, is_problem):
    read = (await api.put("/routes/new", ROUTE)).headers["etag"]
    await api.put("/routes/new", ROUTE | {"order": 6}, if_match=read)

    told = is_problem(await api.put("/routes/new", ROUTE | {"order": 7}, if_match=read), 412)

    assert told["current"] == ROUTE | {"order": 6}
    assert told["difference"] == [{"path": "routes.new.order", "before": 6, "after": 7}]
    assert (await api.get("/routes/new")).json()["order"] == 6


async def test_an_edit_by_hand_between_reading_and_writing_is_412(api, is_problem):
    read = (await api.get("/routes/all")).headers["etag"]
    await api.store._redis.hset("pointsman:routes", "all", '{"router": "a", "order": 9}')

    is_problem(await api.put("/routes/all", ROUTE, if_match=read), 412)
    is_problem(await api.delete("/routes/all", if_match=read), 412)

    assert (await api.get("/routes/all")).json()["order"] == 9


async def test_what_exists_is_not_replaced_without_saying_what_was_read(api, is_problem):
    is_problem(await api.put("/routes/all", ROUTE), 428)
    is_problem(await api.delete("/routes/all"), 428)
    is_problem(await api.put("/routes/all", ROUTE, if_none_match="*"), 412)

    assert (await api.get("/routes/all")).json() == {"router": "a"}
    assert (await api.put("/routes/all", ROUTE, if_match="*")).status_code == 200


async def test_what_is_gone_is_not_written_again_by_who_read_it(api, is_problem):
    read = (await api.put("/routes/new", ROUTE)).headers["etag"]
    await api.delete("/routes/new", if_match=read)

    is_problem(await api.put("/routes/new", ROUTE, if_match=read), 412)
    is_problem(await api.put("/routes/new", ROUTE, if_match="*"), 412)
    is_problem(await api.delete("/routes/new", if_match=read), 404)


async def test_of_two_writers_at_once_one_wins_and_the_other_is_told(api):
    read = (await api.put("/routes/new", ROUTE)).headers["etag"]
    answers = await asyncio.gather(
        *(api.put("/routes/new", ROUTE | {"order": n}, if_match=read) for n in range(10, 18))
    )

    won = [n for n, answer in enumerate(answers, 10) if answer.status_code == 200]
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    assert (await api.get("/routes/new")).json()["order"] == won[0]


async def test_writers_of_different_documents_lose_nothing(api):
    answers = await asyncio.gather(*(api.put(f"/routes/r{n}", ROUTE) for n in range(8)))

    assert {answer.status_code for answer in answers} == {201}
    assert len((await api.get("/routes")).json()["items"]) == 9
    assert sorted(answer.json()["version"] for answer in answers) == [*range(2, 10)]


@pytest.mark.parametrize("name", ["team/b", "a:1", "x@y", "v1.2", "report", "a/enable", "a/b/c"])
async def test_names_may_hold_what_a_path_gives_a_meaning(api, name):
    path = f"/routes/{quote(name, safe='')}"
    etag = (await api.put(path, ROUTE)).headers["etag"]

    assert (await api.get(path)).json() == ROUTE
    assert (await api.post(f"{path}/disable")).json()["name"] == name
    assert (await api.delete(path, if_match=etag)).status_code == 412
    assert (await api.delete(path, if_match="*")).status_code == 200


@pytest.mark.parametrize("name", ["", ".x", "x y", "ü", "router/x", "x" * 129])
async def test_names_that_nothing_can_have_are_refused(api, name, is_problem):
    told = is_problem(await api.put(f"/routes/{quote(name, safe='')}", ROUTE), 422)

    assert told["faults"][0]["path"] == f"routes.{name}"


async def test_a_wrong_document_is_refused_with_the_path_and_the_legal_values(api, is_problem):
    told = is_problem(await api.put("/routes/new", {"router": "nope", "ordr": 1}), 422)

    (fault,) = told["faults"]
    assert fault["path"] == "routes.new.ordr"
    assert 'did you mean "order"?' in fault["message"]
    assert (await api.get("/routes/new")).status_code == 404


async def test_what_others_refer_to_is_not_removed_and_they_are_named(api, is_problem):
    await api.put("/backends/b", {"endpoints": ["http://127.0.0.1:1"]})
    await api.put("/routes/uses-b", {"router": {"type": "fallback", "targets": ["a", "b"]}})

    told = is_problem(await api.delete("/backends/b", if_match="*"), 422)

    assert [fault["path"] for fault in told["faults"]] == ["routes.uses-b.router.targets[1]"]
    assert (await api.get("/backends/b")).status_code == 200


async def test_the_last_document_is_not_removed(api, is_problem):
    await api.set({"flags": {"f": {}}})

    told = is_problem(await api.delete("/flags/f", if_match="*"), 422)

    assert "would be empty" in told["detail"]


async def test_routes_are_listed_as_they_are_tried_and_others_by_name(api):
    for name, order in (("z", 1), ("b", 200), ("c", 5.5)):
        await api.put(f"/routes/{name}", {"router": "a", "order": order})
    await api.put("/backends/0", {"endpoints": ["http://127.0.0.1:1"]})

    routes = (await api.get("/routes")).json()
    assert routes["version"] == 5
    assert [item["name"] for item in routes["items"]] == ["z", "c", "all", "b"]
    assert routes["items"][0]["document"] == {"router": "a", "order": 1}
    read = await api.get("/routes/z")
    assert routes["items"][0]["etag"] == read.headers["etag"].strip('"')
    assert [item["name"] for item in (await api.get("/backends")).json()["items"]] == ["0", "a"]


@pytest.mark.parametrize("kind", ["backends", "routes", "flags"])
async def test_what_has_a_switch_is_switched_and_nothing_else_of_it_changes(api, kind):
    documents = {
        "backends": {"endpoints": ["http://127.0.0.1:1"], "description": "x"},
        "routes": {"router": "a", "description": "x"},
        "flags": {"share": 5, "description": "x"},
    }
    etag = (await api.put(f"/{kind}/new", documents[kind])).headers["etag"]

    off = await api.post(f"/{kind}/new/disable", if_match=etag)
    assert (await api.get(f"/{kind}/new")).json() == documents[kind] | {"enabled": False}
    assert (await api.post(f"/{kind}/new/enable", if_match=etag)).status_code == 412
    assert (await api.post(f"/{kind}/new/enable", if_match=off.headers["etag"])).status_code == 200
    assert (await api.get(f"/{kind}/new")).json()["enabled"] is True


async def test_the_only_backend_is_not_switched_off(api, is_problem):
    told = is_problem(await api.post("/backends/a/disable"), 422)

    assert "no enabled backend" in told["detail"]


async def test_what_has_no_switch_or_is_not_there_cannot_be_switched(api, is_problem):
    assert (await api.post("/routers/x/enable")).status_code == 405
    told = is_problem(await api.post("/routes/al/disable"), 404)
    assert 'did you mean "all"?' in told["detail"]


async def test_a_dry_run_says_what_would_change_and_writes_nothing(api, is_problem):
    told = await api.put("/routes/new?dry_run=true", ROUTE)

    change = {"kind": "routes", "name": "new", "before": None, "after": ROUTE}
    assert (told.status_code, told.json()["changes"]) == (200, [change])
    assert told.json()["version"] == 1
    gone = await api.delete("/routes/all?dry_run=true", if_match="*")
    assert gone.json()["changes"][0]["after"] is None
    is_problem(await api.put("/routes/new?dry_run=true", {"router": "nope"}), 422)
    assert (await api.store.stamp()).version == 1


async def test_what_is_written_again_as_it_is_makes_no_version(api):
    etag = (await api.put("/routes/new", ROUTE)).headers["etag"]

    again = await api.put("/routes/new", ROUTE, if_match=etag)

    assert (again.status_code, again.json()["version"]) == (200, 2)
    assert (await api.store.stamp()).version == 2


async def test_a_rule_test_that_would_fail_holds_an_edit_up(api, is_problem):
    await api.put("/tests/t", {"request": {}, "expect": {"route": "all"}})

    told = is_problem(await api.put("/routes/new", ROUTE), 422)
    assert told["faults"][0]["path"] == "tests.t"

    skipped = await api.put("/routes/new?skip_tests=true", ROUTE)
    assert skipped.status_code == 201
    assert "tests.t" in skipped.json()["warnings"][0]
    # It fails already: no reason to hold up what has nothing to do with it.
    assert (await api.put("/flags/f", {})).status_code == 201


async def test_what_is_broken_elsewhere_holds_no_edit_up_and_is_told(api, is_problem):
    await api.store._redis.hset("pointsman:routes", mapping={"bad": "{", "wrong": '{"router": 1}'})

    edited = await api.put("/routes/new", ROUTE)
    assert edited.status_code == 201
    assert "routes.bad" in edited.json()["warnings"][0]
    items = {item["name"]: item["document"] for item in (await api.get("/routes")).json()["items"]}
    assert items["bad"] == "{"
    is_problem(await api.put("/routes/wrong", {"router": 2}, if_match="*"), 422)
    assert (await api.put("/routes/wrong", ROUTE, if_match="*")).status_code == 200
    assert (await api.delete("/routes/bad", if_match="*")).json()["warnings"] == []


async def test_documents_come_as_yaml_too(api):
    yaml = {"content": b"router: a\norder: 7\n", "content_type": "application/yaml"}

    assert (await api.put("/routes/new", **yaml)).status_code == 201
    assert (await api.get("/routes/new")).json() == {"router": "a", "order": 7}


async def test_what_is_pasted_with_comments_is_json_all_the_same(api):
    assert (await api.put("/routes/new", content=b'{"router": "a" /* why */}')).status_code == 201
    assert (await api.get("/routes/new")).json() == {"router": "a"}


@pytest.mark.parametrize(
    ("content", "media_type", "place"),
    [
        (b'{"router":\n "a",,}', "application/json", "line 2, column 6"),
        (b'{"router"', "application/json", "line 1, column 10"),
        (b"\xff", "application/json", "line 1"),
        (b"", "application/json", "line 1, column 1"),
        (b"[" * 100_000, "application/json", ""),
        (b"router: a\norder: [", "application/yaml", "line 3"),
        (b"router: a\nrouter: b", "application/yaml", "line 2, column 1: is there twice"),
        (b"[" * 100_000, "application/yaml", "nested more than"),
    ],
)
async def test_a_body_that_is_no_json_is_400_with_the_place(api, content, media_type, place):
    answer = await api.put("/routes/new", content=content, content_type=media_type)

    assert answer.status_code == 400
    assert place in answer.json()["faults"][0]["message"]


async def test_a_document_that_is_too_large_is_413(api, is_problem):
    is_problem(await api.put("/routes/new", content=b" " * (MOST_BYTES + 1)), 413)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"if_match": '"a", "b"'}, 400), ({"if_match": '""'}, 400), ({"if_none_match": '"a"'}, 400)],
)
async def test_preconditions_that_are_not_understood_are_refused(api, headers, status, is_problem):
    is_problem(await api.put("/routes/all", ROUTE, **headers), status)


async def test_keys_and_guards_are_for_admins_and_so_is_force(api, is_problem):
    api.be("bob", "operator")
    is_problem(await api.put("/guards/g", SAMPLES["guards"]), 403)
    is_problem(await api.put("/keys/0123456789abcdef", SAMPLES["keys"]), 403)
    is_problem(await api.put("/routes/new?force=true", ROUTE), 403)
    api.be("vic", "viewer")
    is_problem(await api.put("/routes/new", ROUTE), 403)
    is_problem(await api.post("/routes/all/disable"), 403)
    assert (await api.get("/routes/all")).status_code == 200

    assert (await api.store.stamp()).version == 1


async def test_without_redis_it_is_503_and_nothing_is_lost(lone_api, is_problem):
    lone_api.redis.stop()

    told = is_problem(await lone_api.put("/routes/new", ROUTE), 503)
    assert "127.0.0.1" not in json.dumps(told)
    is_problem(await lone_api.get("/routes"), 503)

    lone_api.redis.start()
    await lone_api.set({"backends": {"a": {"endpoints": ["http://127.0.0.1:1"]}}})
    assert (await lone_api.put("/routes/new", ROUTE)).status_code == 201


async def test_a_redis_that_takes_no_writes_is_503_without_its_words(lone_api, is_problem):
    await lone_api.store._redis.config_set("min-replicas-to-write", "1")

    told = is_problem(await lone_api.put("/routes/new", ROUTE), 503)

    assert "NOREPLICAS" not in json.dumps(told)
    assert (await lone_api.get("/routes/new")).status_code == 404


async def test_what_the_reader_has_is_not_sent_again(api):
    etag = (await api.get("/routes/all")).headers["etag"]

    assert (await api.get("/routes/all", if_none_match=etag)).status_code == 304


def test_the_samples_of_the_reference_are_right():
    names = dict.fromkeys(KINDS, "sample") | {"routes": "premium", "keys": "0123456789abcdef"}
    backends = {
        name: {"endpoints": ["http://127.0.0.1:1"]} for name in ("small", "large", "canary")
    }
    documents = {kind: {names[kind]: SAMPLES[kind]} for kind in KINDS}
    documents["backends"] |= backends

    compile_snapshot(Documents.of(documents), version=1)
