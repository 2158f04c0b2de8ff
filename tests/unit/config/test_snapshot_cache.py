"""The live snapshot: swapped whole, or not at all."""

import gc

import pytest

from sidecar.config import snapshot_cache
from sidecar.config.documents import Documents
from sidecar.config.snapshot_cache import SnapshotCache
from sidecar.errors import Fault

BACKEND = {"endpoints": ["http://a/v1"]}
GOOD = Documents.of({"backends": {"a": BACKEND}})
OTHER = Documents.of({"backends": {"b": BACKEND}})
WRONG = Documents.of({"backends": {"a": BACKEND}, "routes": {"r": {"router": "nobody"}}})


def test_good_documents_become_live():
    cache = SnapshotCache()

    assert cache.offer(GOOD, 1)
    assert (cache.current.version, list(cache.current.backends)) == (1, ["a"])
    assert (cache.accepted, cache.rejected, cache.rejection) == (1, {}, None)


def test_wrong_documents_leave_the_live_ones_alone_until_good_ones_come():
    cache = SnapshotCache()
    cache.offer(GOOD, 1)
    live = cache.current

    assert not cache.offer(WRONG, 2)
    assert cache.current is live
    assert cache.rejection.code == "invalid_config"
    assert [fault.path for fault in cache.rejection.faults] == ["routes.r.router"]
    assert cache.rejected == {"invalid_config": 1}

    assert cache.offer(OTHER, 3)
    assert (cache.current.version, cache.rejection) == (3, None)


def test_the_live_content_offered_again_clears_a_rejection_and_takes_the_version():
    cache = SnapshotCache()
    cache.offer(GOOD, 1)
    routes = cache.current.routes
    cache.offer(WRONG, 2)

    assert cache.offer(GOOD, 3)
    assert (cache.current.version, cache.rejection, cache.accepted) == (3, None, 1)
    assert cache.current.routes is routes


def test_the_same_wrong_documents_count_once():
    cache = SnapshotCache()
    cache.offer(WRONG, 1)
    rejection = cache.rejection
    cache.offer(WRONG, 2)

    assert cache.rejection is rejection
    assert cache.rejected == {"invalid_config": 1}


def test_no_documents_at_all_are_refused():
    cache = SnapshotCache()
    cache.offer(GOOD, 1)

    assert not cache.offer(Documents(), 0)
    assert list(cache.current.backends) == ["a"]
    assert cache.rejected == {"store_empty": 1}
    assert cache.rejection.report() | {"when": 0} == {
        "when": 0,
        "version": 0,
        "code": "store_empty",
        "faults": [{"path": "store", "message": "is empty: there is no document of any kind"}],
    }


def test_subscribers_hear_of_new_content_and_not_of_new_versions():
    cache, heard = SnapshotCache(), []
    cache.offer(GOOD, 1)
    cache.subscribe(lambda snapshot: heard.append((snapshot.version, list(snapshot.backends))))
    cache.offer(GOOD, 2)
    cache.relabel(3)
    cache.offer(WRONG, 4)
    cache.offer(OTHER, 5)

    assert heard == [(1, ["a"]), (5, ["b"])]


def test_a_compiler_that_breaks_is_a_rejection_and_no_crash(monkeypatch):
    def broken(*_, **__):
        raise KeyError("oops")

    cache = SnapshotCache()
    monkeypatch.setattr(snapshot_cache, "compile_snapshot", broken)

    assert not cache.offer(GOOD, 1)
    assert cache.rejection.faults == (
        Fault("configuration", "cannot be compiled: KeyError('oops')"),
    )
    assert cache.rejected == {"internal": 1}


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(enabled):
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        SnapshotCache().offer(WRONG, 1)

        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()
