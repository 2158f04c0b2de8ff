"""Questions why a request goes where it goes, put to the workers of this node."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from sidecar.app.worker import socket_path
from sidecar.config.documents import Documents
from sidecar.config.edits import Editor
from sidecar.explain import Records
from sidecar.model import Stats
from sidecar.wire.explainer import Explainer, Problem, Question, Reply, ask_worker

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


class UnsavedRules:
    """Explains requests by rules that are not saved; in this process, so that workers go on.

    It remembers nothing: a session has no pin, a turn is the first, a budget is unused.
    """

    def __init__(self, editor: Editor, stats: Callable[[], Stats], max_body_bytes: int) -> None:
        self._editor = editor
        self._stats = stats
        self._max_body_bytes = max_body_bytes

    async def answer(self, question: Question) -> Reply:
        """Return the answer to a question with documents. Raises ConfigError, StoreError."""
        changes = Documents.parse(msgspec.json.encode(question.documents))
        snapshot = await self._editor.compiled(changes)
        explainer = Explainer(
            lambda: snapshot, self._stats, self._max_body_bytes, records=Records(0)
        )
        asked = msgspec.structs.replace(question, documents=None)
        return msgspec.json.decode(await explainer.answer(msgspec.json.encode(asked)), type=Reply)


def _rank(reply: Reply) -> int:
    return 0 if reply.problem is None else 2 if reply.problem.status == 404 else 1
