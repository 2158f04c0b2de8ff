"""Texts in CEL → programs that are checked: syntax, names and types. The one place that knows the
library.

It is ``cel-expr-python``, Google's C++ implementation, and not ``common-expression-language``
(Rust), which checks no names and no types before it runs, gives up on no loop, and ends the process
when memory runs out. Here an evaluation takes 2 µs, a regex is RE2's, a text nests 32 deep at most,
and an evaluation ends after 10,000 iterations. What it does not bound is the size of values
(a comparison of lists nested 8,000 deep crashes it): see `cel_reads` and `expr`.
"""

import functools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from cel_expr_python import cel  # type: ignore[import-untyped]

from sidecar.errors import ConfigError, Fault
from sidecar.match.cel_tree import Call, Const, Items, Message, Node, read_tree

_TEXT = "string"
_TYPES = {
    "model": _TEXT,
    "operation": _TEXT,
    "path": _TEXT,
    "stream": "bool",
    "api_key": _TEXT,
    "session": _TEXT,
    "region": _TEXT,
    "max_tokens": "int",
    "max_cost_per_token": "double",
    "user.id": _TEXT,
    "user.tenant": _TEXT,
    "user.tier": _TEXT,
    "user.tags": "list",
    "prompt.chars": "int",
    "prompt.tokens": "int",
    "prompt.messages": "int",
    "prompt.text": _TEXT,
    "prompt.last": _TEXT,
    "prompt.system": _TEXT,
    "prompt.has_code": "bool",
    "prompt.has_images": "bool",
    "prompt.has_tools": "bool",
    "prompt.language": _TEXT,
    "prompt.keywords": "list",
    "time.hour": "int",
    "time.minute": "int",
    "time.month": "int",
    "time.weekday": _TEXT,
    "time.date": _TEXT,
}
"""Subjects of a known type; what stands before a dot is a map while it runs."""

SCALARS = frozenset(name for name in _TYPES if "." not in name)
GROUPS = frozenset(name.partition(".")[0] for name in _TYPES if "." in name)
MAPS = frozenset({"headers", "body", "metadata", "extra", "flags", "metrics"})
ROOTS = SCALARS | GROUPS | MAPS

TYPE_NAMES = frozenset({"bool", "bytes", "double", "int", "list", "map", "string", "type", "uint"})
"""Names that CEL has for types, as in ``type(body.x) == int``."""

_NUMERIC = frozenset({"_+_", "_-_", "_*_", "_/_", "_%_", "-_"})
_CONVERSIONS = frozenset({"size", "int", "uint", "double", "string", "type"})
_LONGEST = 2_000
_MOST_FAULTS = 5

_find_faults = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)").findall
_NUMBER = r"(?:int|uint|double)"
_is_number_comparison = re.compile(
    rf"found no matching overload for '(?:_[=!<>]=?_' applied to '\({_NUMBER}, {_NUMBER}\)"
    rf"|@in' applied to '\({_NUMBER}, list\({_NUMBER}\)\))'"
).match


_BOOL, _ERROR = cel.Type.BOOL, cel.Type.ERROR


class Program:
    """An expression that can be evaluated."""

    __slots__ = ("_evaluate",)

    def __init__(self, compiled: Any) -> None:
        self._evaluate = compiled.eval

    def run(self, variables: dict[str, Any]) -> bool | str:
        """Return true or false, or a text that says why it is neither."""
        try:
            answer = self._evaluate(data=variables)
            kind = answer.type()
            # Only now: value() of a null frees None once too often, and Python 3.11 dies of it.
            if kind == _BOOL:
                return bool(answer.value())
            return str(answer.value()) if kind == _ERROR else "not true or false"
        except Exception as error:  # noqa: BLE001 - whatever a foreign library raises
            return str(error)


class Parsed(NamedTuple):
    """A program and its tree."""

    program: Program
    tree: Node


def parse(text: Any, path: str) -> Parsed:
    """Compile ``text``; raises ConfigError with its faults of syntax, each with its place.

    The program is one that chooses its functions when it runs, as only then numbers of different
    types can be compared. `check_types` says what is wrong in it beyond the syntax.
    """
    if not isinstance(text, str) or not text.strip():
        raise ConfigError([Fault(path, "needs a text, an expression in CEL")])
    if len(text) > _LONGEST:
        raise ConfigError([Fault(path, f"longer than {_LONGEST} characters")])
    if not _is_unicode(text):
        raise ConfigError([Fault(path, "has half of a character")])
    try:
        program = _environment().compile(text, disable_check=True)
    except RuntimeError as error:
        raise ConfigError(_faults(str(error), path)) from None
    return Parsed(Program(program), read_tree(program.serialize()))


def check_types(text: str, tree: Node, tests: Sequence[int], path: str) -> None:
    """Check the names and types in a text that was parsed; raises ConfigError.

    ``tests``: offsets of ``has(…)`` around a field of a group, which the library gets wrong for
    names with a dot.
    """
    try:
        result = _environment().compile(_without(text, tests)).return_type().name()
    except RuntimeError as error:
        faults = [
            fault
            for fault in _faults(str(error), path)
            if not _is_number_comparison(fault.message.partition(": ")[2])
        ]
        if faults:
            raise ConfigError(faults) from None
        result = "DYN" if may_be_boolean(tree) else "another value"
    if result not in ("BOOL", "DYN"):  # DYN: a client's value, of which nothing is known
        raise ConfigError([Fault(path, f"needs true or false, gives {result.lower()}")])


def may_be_boolean(tree: Node) -> bool:
    """Whether the value of an expression can be true or false."""
    match tree:
        case Const(_, value):
            return isinstance(value, bool)
        case Call(_, "_?_:_", (_, first, second)):
            return may_be_boolean(first) and may_be_boolean(second)
        case Call(_, function):
            return function not in _NUMERIC | _CONVERSIONS
    return not isinstance(tree, (Items, Message))


def at(text: str, offset: int) -> str:
    """Return line and column of ``offset``, as the library counts them."""
    before = text[:offset]
    return f"{before.count(chr(10)) + 1}:{offset - (before.rfind(chr(10)) + 1) + 1}"


@functools.cache
def _environment() -> Any:
    """Make the library's environment when the first expression comes: it takes 30 ms."""
    types = {
        "string": cel.Type.STRING,
        "bool": cel.Type.BOOL,
        "int": cel.Type.INT,
        "double": cel.Type.DOUBLE,
        "list": cel.Type.List(cel.Type.STRING),
    }
    any_map = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    variables = dict.fromkeys(MAPS | GROUPS, any_map)
    variables |= {name: types[kind] for name, kind in _TYPES.items()}
    variables["headers"] = cel.Type.Map(cel.Type.STRING, cel.Type.STRING)
    variables["flags"] = cel.Type.Map(cel.Type.STRING, cel.Type.BOOL)
    return cel.NewEnv(variables=variables)


def _without(text: str, tests: Sequence[int]) -> str:
    """Put ``true`` in the place of ``has(…)`` whose parenthesis opens at one of ``tests``."""
    for opening in tests:
        start, end = text.rindex("has", 0, opening), text.index(")", opening) + 1
        text = text[:start] + "true".ljust(end - start) + text[end:]
    return text


def _faults(error: str, path: str) -> list[Fault]:
    found = [_told(line, column, message) for line, column, message in _find_faults(error)]
    if not found and "recursion" in error:
        found = ["nested deeper than 32"]
    return [
        Fault(path, message) for message in list(dict.fromkeys(found or [error]))[:_MOST_FAULTS]
    ]


def _told(line: str, column: str, message: str) -> str:
    if "recursion depth" in message:
        return "nested deeper than 32"
    message = message.removesuffix(" [INVALID_ARGUMENT]").replace(" (in container '')", "")
    return f"{line}:{column}: {message}"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
