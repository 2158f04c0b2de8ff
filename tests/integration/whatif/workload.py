"""Requests as a worker decides and records them, and what control logs of them."""

import time

import msgspec

from sidecar.app.recording import facts_recorder
from sidecar.config.documents import Documents
from sidecar.config.redis_store import RedisStore
from sidecar.model import Assignment
from sidecar.telemetry.decision_log import Entry, Result, stream_key
from sidecar.wire.decider import Decider
from tests.unit.whatif import past

PREFIX = "pointsman:"
BACKENDS = {
    name: {"endpoints": ["http://127.0.0.1:1"], "price": {"per_input_token": price}}
    for name, price in [("small", 1e-6), ("large", 1e-5)]
}


def documents(**shares):
    router = {
        "type": "percentage",
        "targets": [*shares],
        "targets_percentages": [*shares.values()],
    }
    return {"backends": BACKENDS, "routes": {"all": {"router": router}}}


LIVE = documents(small=50, large=50)
PATH = "/v1/chat/completions"


async def make_live(settings, what=LIVE):
    store = RedisStore(settings.store_url(), settings.prefix)
    stored = await store.load()
    await store.apply(Documents.of(what), based_on=stored, who="me", what="test")
    await store.close()


async def traffic(store, settings, n=30, **came):
    """Let a worker's decider decide requests, and control log what came of them."""
    snapshot = past.compile_snapshot(Documents.of(LIVE), version=1)
    recorder = facts_recorder(settings, store)
    taken = []
    decider = Decider(lambda: snapshot, past.Stats, 2**20, sample=Spy(recorder, taken))
    for place in range(n):
        decider.answer(PATH, {"x-user-id": f"u{place}"}, past.body(user=f"b{place}"), rewrite=False)
    await recorder.flush(time.time() + 1)
    for record, made in taken:
        await log(store, record, made, **came)
    return [record.id for record, _ in taken]


class Spy:
    """Passes on to a recorder, and remembers what was decided."""

    def __init__(self, recorder, taken):
        self.below = recorder.below
        self._recorder, self._taken = recorder, taken

    def take(self, record, request):
        self._recorder.take(record, request)
        made = past.decide(
            record.snapshot, record.stats, request, past.Entropy(record.seed), record.now
        )
        self._taken.append((record, made))


async def log(store, record, made, **came):
    entry = Entry(
        id=record.id,
        at=record.now,
        node="n1",
        route=made.route,
        strategy=made.plan.strategy,
        backends=tuple(attempt.backend.name for attempt in made.plan.attempts),
        probability=made.plan.probability,
        version=1,
        assignments=(Assignment("exp", 1, "a", 0.5, "9f86d081884c7d65"),),
        outcome=Result(
            status=200,
            answered=True,
            backend=made.plan.attempts[0].backend.name,
            attempts=1,
            **came,
        ),
    )
    await store.xadd(stream_key(PREFIX), {"d": msgspec.json.encode(entry)})
