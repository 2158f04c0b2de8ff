"""QuickJS with limits: a script is compiled once and called often, and no call waits for long.

Each script has a runtime of its own, in which a call leaves nothing behind (see `realm`). The
engine looks at the clock between steps only, and a step on a large text can take milliseconds,
so that a call also has a deadline, after which it is given up with its runtime.
"""

import json
import re
import threading
from functools import lru_cache, partial
from typing import Any, NamedTuple

import quickjs  # type: ignore[import-untyped]

from sidecar.choose.script.deadline import Late, within
from sidecar.choose.script.realm import REALM
from sidecar.errors import ScriptError

MAX_SOURCE = 65_536
"""Bytes of a script's text."""

CPU_SECONDS = 0.005
HEAP_BYTES = 16 * 2**20
DEADLINE_SECONDS = 0.1
"""Of a call, on the clock: only a script that means harm, or a machine that stands, gets there."""

_COMPILE_SECONDS = 0.5
_LONGEST_LITERAL = 65_536

_bigint = re.compile(
    r"(?<![\w$.])(?:0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|\d[\d_]*)n(?![\w$])"
)
_line = re.compile(r"<input>(?::(\d{1,5}))?(?!:?\d)")
_REALM = "\n" * 100_000 + REALM
"""So far down that no line of it can be taken for one of a script: all texts are `<input>`."""

_OVER_MEMORY = "it needed more than 16 MiB"
_OVER = {
    "InternalError: interrupted": "it ran for more than 5 ms",
    "InternalError: stack overflow": "its calls are nested too deeply",
    "InternalError: out of memory": _OVER_MEMORY,
    "null": _OVER_MEMORY,
    "it threw null": "it needed more than 16 MiB, or threw null",
}
_LATE = "it, or an earlier call, did not end in time"


class Inputs(NamedTuple):
    """What a call gets: milliseconds since 1970, a seed of 32 bits, and JSON texts.

    A text that is ``None`` is not handed over: the script reads `undefined`. ``models`` and
    ``metrics`` are kept prepared as long as they do not change.
    """

    now: float
    seed: int = 0
    body: str | None = None
    headers: str | None = None
    models: str | None = None
    metrics: str | None = None


class Answer(NamedTuple):
    """What `route` returned, as JSON (`undefined` is ``None``); or what went wrong."""

    value: Any = None
    error: str | None = None


class Script:
    """A script that compiled. Calls are made one at a time, from any thread."""

    __slots__ = ("_lock", "_running", "_runtime", "_source")

    def __init__(self, source: str, runtime: "_Runtime") -> None:
        self._source = source
        self._runtime: _Runtime | None = runtime
        self._running = False
        self._lock = threading.Lock()

    def __call__(self, inputs: Inputs) -> Answer:
        """Return what `route` makes of ``inputs``. Never raises, and never takes long."""
        with self._lock:
            if self._running:
                return Answer(error=_LATE)
            # While the call runs the runtime belongs to its thread: given up, it takes it along.
            runtime, self._runtime = self._runtime or _Runtime(self._source), None
            try:
                self._runtime, answer = within(
                    DEADLINE_SECONDS, partial(self._run, runtime, inputs)
                )
            except Late:
                return Answer(error=_LATE)
            return answer

    def _run(self, runtime: "_Runtime", inputs: Inputs) -> "tuple[_Runtime | None, Answer]":
        self._running = True
        try:
            return _call(runtime, inputs)
        finally:
            self._running = False


@lru_cache(maxsize=32)
def compile_script(source: str) -> Script:
    """Compile ``source``, which has to define a function `route`. Raises ScriptError.

    Clients that send a script send the same one often, so that the last ones are kept.
    """
    _check_text(source)
    try:
        runtime, answer = within(_COMPILE_SECONDS, partial(_compile, source))
    except Late:
        raise ScriptError(_LATE) from None
    if runtime is None or answer.error is not None:
        raise ScriptError(answer.error or _OVER_MEMORY)
    return Script(source, runtime)


class _Runtime:
    """A realm of QuickJS with one script in it; made when it is first called."""

    __slots__ = ("_context", "_literals", "_route", "_source")

    def __init__(self, source: str) -> None:
        self._source = source
        self._context: Any = None
        self._route: Any = None
        self._literals: dict[str, tuple[str, Any]] = {}

    def call(self, inputs: Inputs | None) -> str:
        """Return the answer of the realm as text; without inputs it only looks for `route`."""
        if self._route is None:
            self._start()
        if inputs is None:
            return str(self._route(None, 0, None, None, None, None))
        now, seed, body, headers, models, metrics = inputs
        return str(
            self._route(
                now,
                seed,
                body,
                headers,
                self._literal("models", models),
                self._literal("metrics", metrics),
            )
        )

    def _start(self) -> None:
        self._context = context = quickjs.Context()
        bind = context.eval(_REALM)
        _limit(context)
        whole = f"(function(){{{self._source}\n;return typeof route==='function'?route:0}})"
        self._route = bind(context.eval(whole))

    def _literal(self, name: str, text: str | None) -> Any:
        """Return a function that makes the value of ``text``: four times as fast as parsing it."""
        if text is None or len(text) > _LONGEST_LITERAL:
            return text
        kept, make = self._literals.get(name, (None, None))
        if kept != text:
            make = self._context.eval(f"(()=>({text}))")
            self._literals[name] = (text, make)
        return make


def _check_text(source: str) -> None:
    try:
        size = len(source.encode())
    except UnicodeEncodeError:
        raise ScriptError("half of a surrogate pair stands alone") from None
    if size > MAX_SOURCE:
        raise ScriptError(f"it has {size} bytes; at most {MAX_SOURCE}")
    if "\0" in source:
        raise ScriptError("it has a NUL character")
    if found := _bigint.search(source):
        raise ScriptError(f"BigInt is not available ({found[0][:20]})")


def _compile(source: str) -> tuple[_Runtime | None, Answer]:
    """Return a runtime after one try of everything outside of `route`.

    The text has to be a whole program by itself: otherwise it could close the function that it
    is put into, and leave variables behind that all calls share.
    """
    context = quickjs.Context()
    _limit(context)
    try:
        context.eval(f"throw 0;{source}")
    except quickjs.JSException as error:
        if str(error).startswith("SyntaxError"):
            return None, Answer(error=_said(str(error)))
    return _call(_Runtime(source), None)


def _call(runtime: _Runtime, inputs: Inputs | None) -> tuple[_Runtime | None, Answer]:
    """Return the answer, and the runtime unless a limit was hit: then it is not used again."""
    try:
        text = runtime.call(inputs)
    except (quickjs.JSException, UnicodeError, MemoryError) as error:
        return None, Answer(error=_said(str(error)))
    if text[0] == "=":
        return runtime, _read(text[1:])
    said, stack = json.loads(text[1:])
    answer = Answer(error=_said(said, stack))
    hit = said in _OVER or said.startswith("InternalError")
    return (None if hit else runtime), answer


def _read(text: str) -> Answer:
    try:
        return Answer(json.loads(text))
    except RecursionError:
        return Answer(error="the result is nested too deeply")


def _limit(context: Any) -> None:
    context.set_memory_limit(HEAP_BYTES)
    context.set_time_limit(CPU_SECONDS)


def _said(error: str, stack: str = "") -> str:
    """Return a sentence about an error of the engine or of the script, with the line."""
    first, _, rest = error.partition("\n")
    line = _line.search(stack or rest)
    return _OVER.get(first, first[:200]) + (f" (line {line[1]})" if line and line[1] else "")
