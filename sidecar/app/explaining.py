"""Questions why a request goes where it goes, put to the workers of this node."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from sidecar.app.worker import socket_path
from sidecar.wire.explainer import Problem, Question, Reply, ask_worker

_NOBODY = Reply(problem=Problem(503, "No worker", "No worker answers; GET /readyz says more."))


async def ask_workers(
    run_dir: Path, places: Callable[[], Iterable[int]], question: Question, text: bytes
) -> Reply:
    """Return the answer of the worker that knows the decision, or of any to a new request."""
    sockets = [socket_path(run_dir, place) for place in places()]
    if question.id is None:
        for socket in sockets:
            if reply := await ask_worker(socket, text):
                return reply
        return _NOBODY
    replies = await asyncio.gather(*(ask_worker(socket, text) for socket in sockets))
    # Who knows the decision answers, or says why not; all others say that they do not know it.
    return min((reply for reply in replies if reply), key=_rank, default=_NOBODY)


def _rank(reply: Reply) -> int:
    return 0 if reply.problem is None else 2 if reply.problem.status == 404 else 1
