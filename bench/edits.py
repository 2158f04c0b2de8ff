"""From HSET to the first request that the new rule decides, and to the last of the old rule."""

import asyncio
import math
import random
import time
from collections.abc import Iterable, Sequence
from itertools import cycle, takewhile
from typing import NamedTuple

from bench.env import Env
from bench.load import even, open_loop, request
from bench.result import quantile
from bench.rules import body, ten_routes
from bench.system import DECIDED, System
from bench.table import Row
from sidecar.demo import start

EDITS = 120
RATE = 500
"""Requests a second, on many connections, so that every worker is asked every few milliseconds."""
REACH_MS = 100.0
BACKENDS = ("large", "small")
clock = time.perf_counter


class Edit(NamedTuple):
    """One HSET of a first route: when it was sent and had returned, and who must answer since."""

    sent: float
    returned: float
    backend: str


class Answer(NamedTuple):
    """When an answer came, and from which backend."""

    at: float
    backend: str


class Followed(NamedTuple):
    """Milliseconds from the return of an edit; infinite when it did not come to that."""

    first: float
    """To the first answer by the new rule."""
    strict: float
    """To the first answer after the last one by the old rule, whichever worker decided it."""


async def bench_edits(env: Env) -> list[Row]:
    """Edit the first route under load, with two workers."""
    with start("bench", fast=True) as model, System(ten_routes(model.address)) as system:
        followed = await follow(env, system, EDITS, (0.12, 0.18))
    return rows(followed, "2 workers, 10 routes", REACH_MS)


def rows(followed: Sequence[Followed], which: str, reach: float) -> list[Row]:
    """Return the marked row for the first new answer, and one for the last old one."""
    first, strict = ([each[place] for each in followed] for place in (0, 1))
    return [
        Row.at_most(
            f"HSET → first request decided by it, p99; {which}",
            quantile(first, 0.99), reach, "ms", note=_note(first),
        ),
        Row.at_most(
            f"HSET → no request decided by the old rule, p99; {which}",
            quantile(strict, 0.99), reach, "ms", note=_note(strict),
        ),
    ]  # fmt: skip


async def follow(env: Env, system: System, count: int, gap: tuple[float, float]) -> list[Followed]:
    """Make ``count`` edits, ``gap`` (least, most) seconds apart, under an even load."""
    answers: list[Answer] = []

    def watch(at: float, head: bytes) -> None:
        _, _, rest = head.partition(b"\r\nx-pointsman-backend: ")
        answers.append(Answer(at, rest.partition(b"\r\n")[0].decode()))

    before = system.worker_seconds()
    done = asyncio.Event()
    starts = takewhile(lambda _: not done.is_set(), even(RATE, 3600))
    load = asyncio.create_task(
        open_loop(system.address, [request(DECIDED, body())], starts, watch=watch)
    )
    edits = await _edit(system, count, gap)
    done.set()
    result = await load
    env.say(f"{len(edits)} edits: {result}")
    used = [now - then for now, then in zip(system.worker_seconds(), before, strict=True)]
    if min(used) == 0:
        raise RuntimeError(f"a worker was asked nothing; CPU seconds of each: {used}")
    return [*compare(edits, answers)]


async def _edit(system: System, count: int, gap: tuple[float, float]) -> list[Edit]:
    edits = []
    draw = random.Random(count)
    for backend, _ in zip(cycle(BACKENDS), range(count), strict=False):
        await asyncio.sleep(draw.uniform(*gap))
        edits.append(await asyncio.to_thread(_put, system, backend))
    await asyncio.sleep(gap[1])
    return edits


def _put(system: System, backend: str) -> Edit:
    targets = [backend, *(name for name in BACKENDS if name != backend)]
    route = {"order": -1, "router": {"type": "fallback", "targets": targets}}
    sent = clock()
    system.put("routes", "first", route)
    return Edit(sent, clock(), backend)


def compare(edits: Sequence[Edit], answers: Sequence[Answer]) -> Iterable[Followed]:
    """Yield when each edit was followed; its turn ends when the next one is sent.

    ``answers``: in the order of their times.
    """
    ends = [edit.sent for edit in edits[1:]] + [math.inf]
    for edit, end in zip(edits, ends, strict=True):
        turn = [each for each in answers if edit.returned < each.at < end]
        new = [each.at for each in turn if each.backend == edit.backend]
        old = [each.at for each in turn if each.backend != edit.backend]
        since = [at for at in new if not old or at > old[-1]]
        yield Followed(_milliseconds(edit, new), _milliseconds(edit, since))


def _milliseconds(edit: Edit, times: Sequence[float]) -> float:
    return (times[0] - edit.returned) * 1e3 if times else math.inf


def _note(figures: Sequence[float]) -> str:
    return f"p50 {quantile(figures, 0.5):.3g}, greatest of {len(figures)} {max(figures):.3g}"
