"""What a worker makes of control's bulletins."""

from sidecar.app.channel import _LENGTH, Bulletin, Inbox, _decoder, frame, packed
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.model import BackendStats, Odds


def snapshot_of(*names, timeout_seconds=None):
    limits = timeout_seconds or {}
    backends = {
        name: {"endpoints": ["http://127.0.0.1:1"], "timeout_seconds": limits.get(name, 5)}
        for name in names
    }
    return compile_snapshot(Documents.of({"backends": backends}), version=1)


def test_until_control_has_spoken_every_backend_counts_as_ready():
    inbox = Inbox()

    inbox.use(snapshot_of("a", "b"))

    assert inbox.stats.unready == frozenset()


def test_a_backend_that_control_does_not_know_yet_is_not_ready():
    inbox = Inbox()
    inbox.take(Bulletin(ready=frozenset({"a"})))

    inbox.use(snapshot_of("a", "new"))

    assert inbox.stats.unready == {"new"}


def test_a_backend_is_ready_as_soon_as_control_says_so():
    inbox = Inbox()
    inbox.use(snapshot_of("a", "new"))
    inbox.take(Bulletin(ready=frozenset({"a"})))

    inbox.take(Bulletin(backends={"a": BackendStats(in_flight=3)}, ready=frozenset({"a", "new"})))

    assert inbox.stats.unready == frozenset()
    assert inbox.stats.backends["a"].in_flight == 3


def test_a_limit_of_its_own_counts_once_envoy_has_the_cluster_for_it():
    inbox = Inbox()
    inbox.take(Bulletin(ready=frozenset({"a", "b", "c", "a~limited"})))

    inbox.use(snapshot_of("a", "b", "c", timeout_seconds={"a": 1, "b": 2, "c": 3}))

    assert inbox.stats.unready == frozenset()
    assert inbox.stats.unlimited == {"b"}


def test_equal_bulletins_are_equal_bytes():
    names = [f"backend-{number}" for number in range(50)]

    one = frame(Bulletin(ready=frozenset(names)))
    other = frame(Bulletin(ready=frozenset(reversed(names))))

    assert one == other


def test_odds_of_bandits_arrive_as_they_were_and_are_read_once():
    odds = {"b:1": {"acme|<500": Odds((0.25, 0.75), (3.5, 90.0))}}
    inbox = Inbox()

    for ready in ("a", "b"):
        sent = frame(Bulletin(ready=frozenset({ready}), bandits=packed(odds)))
        inbox.take(_decoder.decode(sent[_LENGTH:]))
        if ready == "a":
            first = inbox.stats.bandits

    assert first == odds
    assert type(first["b:1"]["acme|<500"]) is Odds
    assert inbox.stats.bandits is first
    inbox.take(Bulletin())
    assert inbox.stats.bandits == {}


def test_odds_that_have_not_changed_are_not_kept_twice():
    def odds(probability):
        return {"changed": Odds((probability, 0.5), (1.0, 1.0)), "same": Odds((0.5,), (1.0,))}

    inbox = Inbox()
    inbox.take(Bulletin(bandits=packed({"b:1": odds(0.1), "c:1": odds(0.1)})))
    before = inbox.stats.bandits
    inbox.take(Bulletin(bandits=packed({"b:1": odds(0.2), "c:1": odds(0.1), "d:1": odds(0.3)})))
    after = inbox.stats.bandits

    assert after == {"b:1": odds(0.2), "c:1": odds(0.1), "d:1": odds(0.3)}
    assert after["c:1"] is before["c:1"]
    assert after["b:1"]["same"] is before["b:1"]["same"]
    assert before["b:1"] == odds(0.1), "what decisions were made with stays as it was"
