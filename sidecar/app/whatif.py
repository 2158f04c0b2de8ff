"""What if another configuration were live: the logs are read, and replayed in this process.

Control asks a process of its own (`main`), so that it stays responsive whatever the question costs.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from typing import Annotated, NamedTuple

import msgspec

from sidecar import whatif
from sidecar.app import logs
from sidecar.app.past import read_records
from sidecar.app.rules import policy_of
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.config.redis_client import answering, connect, place
from sidecar.config.redis_store import RedisStore
from sidecar.errors import ConfigError, Fault, StoreError
from sidecar.model import Snapshot, Stats
from sidecar.settings import Settings
from sidecar.telemetry.bandits import Bandits
from sidecar.telemetry.shared_stats import SharedStats
from sidecar.telemetry.windows import Windows, view
from sidecar.whatif import Record
from sidecar.whatif.answer import WhatIf, sentence
from sidecar.whatif.reward import BUILT_IN, estimate
from sidecar.wire.explainer import Problem

DAY = 86400.0
LIMIT, MOST = 10_000, 100_000
READ_SECONDS = 60.0
PROCESS_SECONDS = 120.0

Progress = Callable[[int, int], None]
"""Is told how many steps are done, and of how many."""


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """``config``: as `apply` takes it; of the last ``since`` seconds the newest ``limit``."""

    config: msgspec.Raw
    since: Annotated[float, msgspec.Meta(gt=0, le=366 * DAY)] = DAY
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = LIMIT
    metric: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None


class Reply(msgspec.Struct, omit_defaults=True):
    """An answer, or why there is none; ``faults``: of the configuration."""

    answer: msgspec.Raw = msgspec.Raw(b"null")
    problem: Problem | None = None
    faults: list[Fault] = []


class _Material(NamedTuple):
    live: Snapshot
    candidate: Snapshot
    records: list[Record]
    stats: Stats


def run(settings: Settings, asked: Question, progress: Progress | None = None) -> WhatIf:
    """Answer a question. Raises ConfigError for the candidate, StoreError without Redis."""
    candidate = compile_snapshot(
        Documents.parse(bytes(asked.config)), version=0, policy=policy_of(settings)
    )
    found = asyncio.run(_gather(settings, asked, candidate))
    live, records, stats = found.live, found.records, found.stats
    steps = len(records) * (1 if asked.metric is None else 2)

    def told(before: int) -> Callable[[int], None] | None:
        return None if progress is None else lambda done: progress(before + done, steps)

    compared = whatif.compare(live, candidate, records, stats, told(0))
    estimates = None
    if asked.metric is not None:
        count = told(len(records))
        estimates = estimate(live, candidate, records, stats, asked.metric, count)
    return WhatIf(
        since=asked.since,
        oldest=records[0].now if records else None,
        newest=records[-1].now if records else None,
        comparison=compared,
        estimates=estimates,
        sentence=sentence(compared, estimates),
    )


async def _gather(settings: Settings, asked: Question, candidate: Snapshot) -> _Material:
    store = RedisStore(settings.store_url(), settings.prefix)
    redis = connect(settings.store_url(), settings.prefix)
    try:
        stored = await store.load()
        live = _compile_live(stored.documents, stored.version, settings)
        feedback = None if asked.metric in BUILT_IN else asked.metric
        async with answering(place(settings.store_url()), READ_SECONDS):
            records = await read_records(
                redis,
                settings.prefix,
                since=time.time() - asked.since,
                limit=asked.limit,
                feedback=feedback,
            )
        shared = SharedStats(redis, Windows(), prefix=settings.prefix, node="")
        await shared.tick()  # without anything to tell, it only reads
        measured = view(shared.merged(), shared.in_flight(), ())
        odds: dict[str, object] = {}
        for snapshot in (live, candidate):
            bandits = Bandits(redis, settings.prefix)
            bandits.use(snapshot)
            await bandits.tick()
            odds |= bandits.odds
        stats = msgspec.structs.replace(measured, bandits=odds)
        return _Material(live, candidate, records, stats)
    finally:
        await redis.aclose()
        await store.close()


def _compile_live(documents: Documents, version: int, settings: Settings) -> Snapshot:
    try:
        return compile_snapshot(documents, version=version, policy=policy_of(settings))
    except ConfigError as error:
        faults = ", ".join(fault.path for fault in error.faults[:3])
        raise StoreError(
            f"the documents in Redis are not good, so nothing compares: {faults}"
        ) from None


# ── in a process of its own ────────────────────────────────────────────────


class Asker:
    """Puts questions to a process of their own, one at a time."""

    def __init__(self, settings: Settings, seconds: float = PROCESS_SECONDS) -> None:
        self._settings = settings
        self._seconds = seconds
        self._busy = asyncio.Lock()

    async def __call__(self, question: bytes) -> Reply:
        """Return the reply to a `Question` as JSON. Never raises but CancelledError."""
        if self._busy.locked():
            return _problem(429, "Busy", "Another question is being answered; ask again later.")
        async with self._busy:
            return await self._ask(question)

    async def _ask(self, question: bytes) -> Reply:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sidecar.app.whatif"),
            stdin=pipe,
            stdout=pipe,
            env=os.environ | self._settings.environment(),
        )
        try:
            async with asyncio.timeout(self._seconds):
                text, _ = await process.communicate(question)
            return msgspec.json.decode(text, type=Reply)
        except TimeoutError:
            detail = f"No answer within {self._seconds:g} s; ask for fewer requests (`limit`)."
            return _problem(504, "Too much", detail)
        except msgspec.DecodeError:
            return _problem(500, "Failed", "The comparison failed; the log says why.")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def reply_to(settings: Settings, question: bytes) -> Reply:
    """Answer a `Question` as JSON; what is wrong with it is told in the reply."""
    try:
        asked = msgspec.json.decode(question, type=Question)
        found = run(settings, asked)
    except ConfigError as error:
        first = error.faults[0]
        problem = Problem(422, "Wrong configuration", first.message, f"$.config.{first.path}")
        return Reply(problem=problem, faults=[*error.faults])
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        return Reply(problem=Problem(422, "Wrong question", what, where.strip("`") or "$"))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return Reply(problem=Problem(400, "Not JSON", str(error), "$"))
    except StoreError as error:
        return _problem(503, "No store", str(error))
    return Reply(answer=msgspec.Raw(msgspec.json.encode(found)))


def _problem(status: int, title: str, detail: str) -> Reply:
    return Reply(problem=Problem(status, title, detail))


def log_warnings(settings: Settings) -> None:
    """Let only what went wrong be logged, and not on standard output."""
    logs.configure(msgspec.structs.replace(settings, log_level="warning"), "whatif")


def main() -> None:
    """Answer the question on standard input; the work yields to everything else here."""
    os.nice(10)
    settings = Settings.read(os.environ)
    log_warnings(settings)
    reply = reply_to(settings, sys.stdin.buffer.read())
    sys.stdout.buffer.write(msgspec.json.encode(reply))


if __name__ == "__main__":
    main()
