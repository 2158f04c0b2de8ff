"""Operators: what a condition can ask of a value. Each is compiled to a test once, when rules load.

A missing value fails every test but ``ne``, ``nin`` and ``exists: false``.
"""

import operator
from collections.abc import Callable, Mapping
from functools import partial
from math import isfinite
from typing import Any, NamedTuple

from sidecar.errors import ConfigError, Fault
from sidecar.match import patterns
from sidecar.model import MISSING

Test = Callable[[Any], bool]

MAX_DEPTH = 32
"""Deepest nesting of an operand; comparing recurses, and conditions may come from clients."""

MAX_NUMBER = 32
"""Longest text that can compare as a number: parsing long ones takes quadratic time."""

_NUMBERS = (int, float)
_SCALARS = (str, bool, int, float, type(None))

SEARCHED = 10_000
"""Characters at the end of a text, and members at the start of an array, that a search in a
condition of a request looks at."""

MOST_VALUES = 1_000
"""Values in an operand of a request's condition."""

SEARCHES = frozenset({"contains", "intersects", "regex"})
"""The operators whose time grows with the value that they are asked of."""


class Operator(NamedTuple):
    """Makes a test of an operand that ``accepts`` allows; ``needs`` says what that is."""

    needs: str
    accepts: Callable[[Any], bool]
    build: Callable[[Any], Test]


def compile_test(name: str, operand: Any, path: str, *, untrusted: bool = False) -> Test:
    """Compile operator ``name`` (with or without ``$``) and its operand.

    ``untrusted``: it comes from a client, so operands are small, patterns are bounded, and a
    search looks at no more than SEARCHED.
    Raises ConfigError with ``path`` for an unknown operator or an operand of the wrong type.
    """
    plain = name.removeprefix("$")
    known = OPERATORS.get(plain)
    if known is None:
        raise ConfigError([Fault(path, f"unknown operator; legal: {LEGAL}")])
    if not known.accepts(operand):
        raise ConfigError([Fault(path, f"needs {known.needs}")])
    if untrusted:
        _check_size(operand, path)
    try:
        if untrusted and plain in SEARCHES:
            return _in_part(
                patterns.contained(operand, SEARCHED) if plain == "regex" else known.build(operand)
            )
        return known.build(operand)
    except patterns.BadPattern as error:
        raise ConfigError([Fault(path, str(error))]) from None


def _check_size(operand: Any, path: str) -> None:
    """Refuse a large operand: values are compared with it member by member."""
    values = [operand]
    for value in values:  # grows while it is walked
        if isinstance(value, Mapping):
            values.extend(value.values())
        elif isinstance(value, (list, tuple)):
            values.extend(value)
        if len(values) > MOST_VALUES:
            raise ConfigError([Fault(path, f"more than {MOST_VALUES} values")])


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


def _intersects(operand: list[Any]) -> Test:
    one_of = _in(operand)
    texts = frozenset(operand) if all(isinstance(item, str) for item in operand) else None

    def test(value: Any) -> bool:
        if texts is not None and type(value) is tuple:  # user.tags, prompt.keywords: only texts
            return not texts.isdisjoint(value)
        if isinstance(value, (list, tuple)):
            return any(map(one_of, value))
        return isinstance(value, str) and one_of(value)

    return test


def _in_part(test: Test) -> Test:
    """Show ``test`` the end of a text and the start of an array."""

    def bounded(value: Any) -> bool:
        if isinstance(value, str):
            return test(value[-SEARCHED:])
        return test(value[:SEARCHED] if isinstance(value, (list, tuple)) else value)

    return bounded


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
    "intersects": Operator("an array of JSON values", _is_array, _intersects),
    "prefix": Operator("a text", _is_text, _prefix),
    "suffix": Operator("a text", _is_text, _suffix),
    "regex": Operator("a text", _is_text, patterns.contained),
    "exists": Operator("true or false", lambda operand: isinstance(operand, bool), _exists),
}

LEGAL = " ".join(OPERATORS)
