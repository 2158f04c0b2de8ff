"""`decide()` alone: no wire, no Envoy, one thread."""

import random
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

from bench.env import Env
from bench.pairs import PAIRS, Spread
from bench.rules import body, routes_by_model, ten_routes
from bench.table import Row, shown
from sidecar import facts
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.decide import decide
from sidecar.model import Entropy, InferenceRequest, Snapshot, Stats

FEW, MANY = 10, 10_000
REACH_US, REACH_RATIO = 25.0, 2.0
BATCH = 100
"""Decisions between two readings of the clock."""
_STATS, _ENTROPY, _NOW = Stats(), Entropy(7), 1.8e9
clock = time.perf_counter


class Cost(NamedTuple):
    """Microseconds of one decision: in the quickest batch, and in the median one.

    The quickest is what the code takes; the others had to share the machine.
    """

    quickest: float
    usual: float

    def row(self, what: str) -> Row:
        """Return a row without a mark."""
        return Row(what, shown(self.quickest, "µs", self.note))

    @property
    def note(self) -> str:
        """What goes into brackets."""
        return f"median batch {self.usual:.3g}"


async def bench_decide(env: Env) -> list[Row]:
    """Time ten routes of all kinds, then many routes that differ in the model's name."""
    seconds = env.seconds / PAIRS
    return [*_ten_routes(env, seconds), *_by_model(env, seconds)]


def _ten_routes(env: Env, seconds: float) -> list[Row]:
    env.say(f"{FEW} routes of all kinds")
    bodies = [body()] * BATCH
    rules, promptless = (
        _compiled(ten_routes("model:1", read_prompt=each)) for each in (True, False)
    )
    whole = cost(_read_and_decide, rules, bodies, seconds)
    alone = cost(_decide, rules, bodies, seconds, prepare=_read)
    spared = cost(_read_and_decide, promptless, bodies, seconds)
    return [
        Row.at_most(f"decide(), {FEW} routes", alone.quickest, REACH_US, "µs", note=alone.note),
        whole.row(f"facts.read() and decide(), {FEW} routes"),
        spared.row(f"read and decide, {FEW} routes, none about the prompt"),
    ]


def _by_model(env: Env, seconds: float) -> list[Row]:
    env.say(f"{FEW} and {MANY:,} routes by model")
    draw = random.Random(1)
    sides = [
        (
            _compiled(routes_by_model("model:1", count)),
            [body(model=f"model-{draw.randrange(count)}") for _ in range(BATCH)],
        )
        for count in (FEW, MANY)
    ]
    pairs = [
        [cost(_read_and_decide, rules, bodies, seconds).quickest for rules, bodies in sides]
        for _ in range(PAIRS)
    ]
    ratio = Spread.of(many / few for few, many in pairs)
    few, many = (min(side) for side in zip(*pairs, strict=True))
    return [
        Row.at_most(
            f"{MANY:,} routes by model / {FEW}", ratio.median, REACH_RATIO, note=ratio.range
        ),
        Row("read and decide by model", f"{few:.3g} µs with {FEW}, {many:.3g} µs with {MANY:,}"),
    ]


def _compiled(documents: dict[str, Any]) -> Snapshot:
    return compile_snapshot(Documents.of(documents), version=1)


def _read(content: bytes) -> InferenceRequest:
    return facts.read("/v1/chat/completions", {"x-user-id": "bench"}, content)


def _decide(rules: Snapshot, request: InferenceRequest) -> None:
    decide(rules, _STATS, request, _ENTROPY, _NOW)


def _read_and_decide(rules: Snapshot, content: bytes) -> None:
    _decide(rules, _read(content))


def cost(
    work: Callable[[Snapshot, Any], None],
    rules: Snapshot,
    bodies: Sequence[bytes],
    seconds: float,
    *,
    prepare: Callable[[bytes], Any] = bytes,
) -> Cost:
    """Time batches of ``work`` for ``seconds``; what ``prepare`` takes is not counted."""
    batches, end = [], clock() + seconds
    while clock() < end:
        # Facts are kept in the request, so each batch needs fresh ones.
        given = [prepare(each) for each in bodies]
        start = clock()
        for each in given:
            work(rules, each)
        batches.append((clock() - start) / len(given) * 1e6)
    return Cost(min(batches), median(batches))
