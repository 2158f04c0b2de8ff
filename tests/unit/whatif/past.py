"""Past requests, recorded as a worker records them, and the decisions that were made of them."""

import json

from sidecar import facts, whatif
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.decide import decide, decision_id
from sidecar.errors import RequestError
from sidecar.model import FORGETFUL, Entropy, Recall, Stats
from sidecar.whatif import Decided, Outcome, Record

PATH = "/v1/chat/completions"
NOW = 1_800_000_000.0


def rules(routes, *, backends=None, **kinds):
    """Compile a configuration with the backends small, large and far, and one route or several."""
    known = {
        name: {"endpoints": ["http://127.0.0.1:1"], "price": {"per_input_token": price}}
        for name, price in [("small", 1e-6), ("large", 1e-5), ("far", 3e-6)]
    }
    if "targets" in routes or "type" in routes:
        routes = {"it": {"router": {"type": "fallback", **routes}}}
    documents = {"backends": known | (backends or {}), "routes": routes, **kinds}
    return compile_snapshot(Documents.of(documents), version=7)


def body(**fields):
    message = {"role": "user", "content": "hello there"}
    return json.dumps({"model": "any", "messages": [message], **fields}).encode()


def record(snapshot, *, seed=1, now=NOW, headers=None, given=None, stats=None, memory=None, **came):
    """Decide a request by ``snapshot`` and return what is recorded of it."""
    headers = {name: text for name, text in (headers or {}).items() if name in snapshot.headers}
    request = facts.read(PATH, headers, given or body(), keys=snapshot.keys)
    recall = Recall(memory or FORGETFUL)
    try:
        made = decide(snapshot, stats or Stats(), request, Entropy(seed), now, recall)
    except RequestError:
        made = None
    taken = whatif.take(request, snapshot.headers, recall.reads)
    text = whatif.encode(taken)
    past = made and Decided(
        route=made.route,
        strategy=made.plan.strategy,
        backends=tuple(attempt.backend.name for attempt in made.plan.attempts),
        probability=made.plan.probability,
        version=made.config_version,
        outcome=Outcome(**came),
    )
    return Record(decision_id(seed, now), whatif.decode(text), past)


def records(snapshot, n=200, **given):
    return [record(snapshot, seed=seed * 7919, now=NOW + seed, **given) for seed in range(n)]
