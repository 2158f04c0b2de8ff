"""Operators: what a condition can ask of a value. Each is compiled to a test once, when rules load.

A missing value fails every test but ``ne``, ``nin`` and ``exists: false``.
"""

import operator
from collections.abc import Callable, Mapping
from functools import partial
from math import isfinite
from typing import Any, NamedTuple

import re2

from sidecar.errors import ConfigError, Fault
from sidecar.model import MISSING

Test = Callable[[Any], bool]

MAX_DEPTH = 32
"""Deepest nesting of an operand; comparing recurses, and conditions may come from clients."""

MAX_NUMBER = 32
"""Longest text that can compare as a number: parsing long ones takes quadratic time."""

_NUMBERS = (int, float)
_SCALARS = (str, bool, int, float, type(None))

_REGEX = re2.Options()
_REGEX.max_mem = 1 << 20
_REGEX.never_capture = True
_REGEX.log_errors = False


class Operator(NamedTuple):
    """Makes a test of an operand that ``accepts`` allows; ``needs`` says what that is."""

    needs: str
    accepts: Callable[[Any], bool]
    build: Callable[[Any], Test]


def compile_test(name: str, operand: Any, path: str) -> Test:
    """Compile operator ``name`` (with or without ``$``) and its operand.

    Raises ConfigError with ``path`` for an unknown operator or an operand of the wrong type.
    """
    known = OPERATORS.get(name.removeprefix("$"))
    if known is None:
        raise ConfigError([Fault(path, f"unknown operator; legal: {LEGAL}")])
    if not known.accepts(operand):
        raise ConfigError([Fault(path, f"needs {known.needs}")])
    try:
        return known.build(operand)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace")
        raise ConfigError([Fault(path, f"not a regular expression: {reason}")]) from None


def is_json(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Whether ``value`` is what JSON can say, nested at most ``depth`` deep."""
    if isinstance(value, Mapping):
        return depth > 0 and all(is_json(item, depth - 1) for item in value.values())
    if isinstance(value, (list, tuple)):
        return depth > 0 and all(is_json(item, depth - 1) for item in value)
    return isinstance(value, _SCALARS)


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBERS


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_array(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and is_json(value)


def _number(text: str) -> int | float | None:
    """Read a decimal number; ``None`` when the text is something else."""
    if len(text) > MAX_NUMBER or not text.isascii() or "_" in text:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _same(left: Any, right: Any) -> bool:
    """Compare two JSON values: 1 is 1.0, but true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _equal(operand: Any) -> Test:
    if isinstance(operand, str):
        return partial(operator.eq, operand)
    if operand is None or isinstance(operand, bool):
        return partial(operator.is_, operand)
    if _is_number(operand):
        return _compare_number(operator.eq, operand)
    return partial(_same, operand)


def _compare_number(holds: Callable[[Any, Any], bool], operand: float) -> Test:
    def test(value: Any) -> bool:
        kind = type(value)
        if kind is str:
            number = _number(value)
            return number is not None and holds(number, operand)
        return kind in _NUMBERS and holds(value, operand)

    return test


def _in(operand: list[Any]) -> Test:
    texts = frozenset(item for item in operand if isinstance(item, str))
    numbers = frozenset(item for item in operand if _is_number(item))
    rest = tuple(
        _equal(item) for item in operand if not isinstance(item, str) and not _is_number(item)
    )

    def test(value: Any) -> bool:
        kind = type(value)
        if kind is str:
            return value in texts or (bool(numbers) and _number(value) in numbers)
        if kind in _NUMBERS:
            return value in numbers
        return any(same(value) for same in rest)

    return test


def _contains(operand: Any) -> Test:
    same = _equal(operand)
    is_text = isinstance(operand, str)

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return is_text and operand in value
        return isinstance(value, (list, tuple)) and any(map(same, value))

    return test


def _negated(build: Callable[[Any], Test]) -> Callable[[Any], Test]:
    def negate(operand: Any) -> Test:
        test = build(operand)
        return lambda value: not test(value)

    return negate


def _ordering(holds: Callable[[Any, Any], bool]) -> Operator:
    def build(operand: Any) -> Test:
        if isinstance(operand, str):
            return lambda value: isinstance(value, str) and holds(value, operand)
        return _compare_number(holds, operand)

    return Operator(
        "a number or a text", lambda operand: _is_text(operand) or _is_number(operand), build
    )


def _prefix(operand: str) -> Test:
    return lambda value: isinstance(value, str) and value.startswith(operand)


def _suffix(operand: str) -> Test:
    return lambda value: isinstance(value, str) and value.endswith(operand)


def _regex(operand: str) -> Test:
    search = re2.compile(operand.encode(errors="surrogatepass"), _REGEX).search
    # The library keeps 128 patterns with up to max_mem each; only live rules may hold theirs.
    re2.purge()
    return lambda value: (
        isinstance(value, str) and search(value.encode(errors="surrogatepass")) is not None
    )


def _exists(operand: bool) -> Test:
    return lambda value: (value is not MISSING) is operand


OPERATORS: Mapping[str, Operator] = {
    "eq": Operator("a JSON value", is_json, _equal),
    "ne": Operator("a JSON value", is_json, _negated(_equal)),
    "in": Operator("an array of JSON values", _is_array, _in),
    "nin": Operator("an array of JSON values", _is_array, _negated(_in)),
    "gt": _ordering(operator.gt),
    "gte": _ordering(operator.ge),
    "lt": _ordering(operator.lt),
    "lte": _ordering(operator.le),
    "contains": Operator("a JSON value", is_json, _contains),
    "prefix": Operator("a text", _is_text, _prefix),
    "suffix": Operator("a text", _is_text, _suffix),
    "regex": Operator("a text", _is_text, _regex),
    "exists": Operator("true or false", lambda operand: isinstance(operand, bool), _exists),
}

LEGAL = " ".join(OPERATORS)
