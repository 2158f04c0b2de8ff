"""Calls that are waited for so long and no longer, whatever they do.

For native code that cannot be stopped and that lets go of the interpreter while it runs: such a
call is made on another thread, and when it does not answer that thread is given up.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

MOST_STUCK = 4
"""Threads that were given up and still run; as long as there are so many, nothing is called."""


class Late(Exception):
    """No answer in time, or too many earlier calls that still run."""


class Worker:
    """A thread that makes one call after the other."""

    __slots__ = ("_answers", "_calls")

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="script", daemon=True).start()

    def call(self, job: Callable[[], Any], seconds: float) -> Any:
        """Return what ``job`` returns, which must not raise. Raises Late; then it is given up."""
        self._calls.put(job)
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            _stuck.add(self)
            self._calls.put(None)
            raise Late from None

    def _serve(self) -> None:
        while (job := self._calls.get()) is not None:
            self._answers.put(job())
            del job  # what it holds must not live until the next call
        _stuck.discard(self)


_idle: list[Worker] = []
_stuck: set[Worker] = set()


def stuck() -> int:
    """Return how many threads were given up and still run."""
    return len(_stuck)


def within(seconds: float, job: Callable[[], T]) -> T:
    """Return what ``job`` returns, which must not raise; raises Late when it takes longer."""
    if len(_stuck) >= MOST_STUCK:
        raise Late
    try:
        worker = _idle.pop()
    except IndexError:
        worker = Worker()
    found: T = worker.call(job, seconds)
    _idle.append(worker)
    return found
