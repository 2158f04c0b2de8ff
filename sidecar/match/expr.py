"""``{"expr": "CEL"}``: an expression over the subjects of conditions, checked when rules load.

Only what the expression reads is computed, and only that is handed over: ``body.a.b`` is a map with
one value and not the body. A value that is missing is not there, so that reading it is an error,
which makes the expression false as every error does; ``has()`` asks. Sizes are bounded before the
library sees them: see `cel_check` for what it does to deep and long values.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from sidecar.errors import ConfigError, Fault
from sidecar.match.cel_check import GROUPS, ROOTS, SCALARS, Program, at, check_types, parse
from sidecar.match.cel_reads import Read, Reads, read_expression
from sidecar.match.subjects import NO_FLAGS, compile_accessor, headers_of
from sidecar.model import MISSING, Accessor, Context, Predicate

_MOST_VALUES = 5_000
_DEEPEST = 32
_LONGEST_COPIED = 300
"""Members of an array of which `filter` makes another: adding one copies all that are there."""
_LONGEST_IN_MACRO = 1_000
"""Characters of a text that is read again for each member of an array."""

_LARGEST = 2**63

_OPEN = frozenset({"body", "metadata", "extra"})
"""Maps of any shape, in which a value that is only asked for need not be handed over."""

_MISSING = ("NOT_FOUND", "UNKNOWN: No value with name", "UNKNOWN: Index error")
"""How the library's errors begin when something is not there."""


class Expression(NamedTuple):
    """``matches`` says whether it is true; ``headers``: those that it reads, lower-case."""

    matches: Predicate
    headers: frozenset[str]


class _Binding(NamedTuple):
    """Puts what ``read`` returns at ``place`` in the variables."""

    place: tuple[str | int, ...]
    read: Accessor
    tested: bool
    in_macro: bool


def compile_expr(text: Any, path: str, *, flags: Mapping[str, Predicate] = NO_FLAGS) -> Expression:
    """Compile and check an expression; raises ConfigError, each fault with line and column.

    The context is warned with ``expr_error`` of what is wrong beyond a missing value: a value of a
    type that the expression cannot take, one that is too large, a division by zero.
    """
    parsed = parse(text, path)
    reads = read_expression(text, parsed.tree, path)
    bindings, headers = _bindings(text, path, reads, flags)
    check_types(text, parsed.tree, reads.has_calls, path)
    longest = _LONGEST_COPIED if reads.filters else _MOST_VALUES
    return Expression(_predicate(parsed.program, _binder(bindings, longest)), headers)


def _predicate(program: Program, bind: Callable[[Context], dict[str, Any] | None]) -> Predicate:
    def matches(context: Context) -> bool:
        variables = bind(context)
        answer = "too large" if variables is None else program.run(variables)
        if isinstance(answer, bool):
            return answer
        if not answer.startswith(_MISSING):
            context.warn("expr_error")
        return False

    return matches


def _bindings(
    text: str, path: str, reads: Reads, flags: Mapping[str, Predicate]
) -> tuple[list[_Binding], frozenset[str]]:
    faults: list[Fault] = []
    found: dict[tuple[Any, ...], _Binding] = {}
    headers: set[str] = set()
    for read in reads.reads:
        try:
            binding = _bound(read, path, flags)
        except ConfigError as error:
            place = at(text, read.offset)
            faults += [Fault(path, f"{place}: {fault.message}") for fault in error.faults]
            continue
        headers |= headers_of(".".join(map(str, binding.place)))
        known = found.get(binding.place, binding)
        found[binding.place] = _Binding(
            binding.place,
            binding.read,
            tested=known.tested and binding.tested,
            in_macro=known.in_macro or binding.in_macro,
        )
    if faults:
        raise ConfigError(list(dict.fromkeys(faults)))
    return _needed(found.values()), frozenset(headers)


def _needed(bindings: Iterable[_Binding]) -> list[_Binding]:
    """Leave out what lies inside another value that is bound whole; values come before tests."""
    whole = {binding.place for binding in bindings if not binding.tested}
    needed = [
        binding
        for binding in bindings
        if not any(binding.place[:length] in whole for length in range(1, len(binding.place)))
    ]
    return sorted(needed, key=lambda binding: binding.tested)


def _bound(read: Read, path: str, flags: Mapping[str, Predicate]) -> _Binding:
    """Find the accessor of what is read; an open map is read by its path, at any depth."""
    root, steps = read.root, read.steps
    place: tuple[str | int, ...] = (root, *steps)
    accessor: Accessor
    if root in SCALARS or root not in ROOTS:
        place, accessor = (root,), compile_accessor(root, path)
    elif root in GROUPS or root in ("headers", "flags"):
        place = place[:2]
        accessor = compile_accessor(f"{root}.{steps[0]}", path, flags=flags)
        if place == ("user", "tags"):
            accessor = _tags
    elif root == "metrics":
        accessor = _metric(steps, path)
    elif root == "extra":
        place, accessor = _extra(steps, path)
    else:
        accessor = _value(steps if root == "body" else place)
    tested = read.tested and root in _OPEN
    return _Binding(place, accessor, tested, read.in_macro)


def _tags(context: Context) -> Any:
    # No tags are an empty list here, or else `!("beta" in user.tags)` would be an error.
    return context.request.user.tags


def _value(steps: tuple[str | int, ...]) -> Accessor:
    return lambda context: context.request.value(steps)


def _metric(steps: tuple[str | int, ...], path: str) -> Accessor:
    if not 2 <= len(steps) <= 3:
        message = 'needs a backend and a metric: metrics["gpt-4o"].error_rate'
        raise ConfigError([Fault(path, message)])
    backend, *window, metric = map(str, steps)
    # The window is always named, as a backend's own name may end like one.
    return compile_accessor(f"metrics.{backend}.{window[0] if window else '1m'}.{metric}", path)


def _extra(steps: tuple[str | int, ...], path: str) -> tuple[tuple[str | int, ...], Accessor]:
    """Read ``extra.user.<name>`` in all of LangDB's spellings, and what lies deeper as it is."""
    place = ("extra", *steps)
    name = ".".join(map(str, steps[:2]))
    if len(steps) > 1 and (len(steps) == 2 or steps[0] == "guards"):
        return place[:3], compile_accessor(f"extra.{name}", path)
    if steps[0] not in ("user", "variables"):
        compile_accessor(f"extra.{name}", path)
    return place, _value(place)


def _binder(bindings: list[_Binding], longest: int) -> Callable[[Context], dict[str, Any] | None]:
    """Build what returns the variables, or ``None`` when a value is too large."""
    maps = sorted({binding.place[0] for binding in bindings if len(binding.place) > 1}, key=str)

    def bind(context: Context) -> dict[str, Any] | None:
        variables: dict[Any, Any] = {root: {} for root in maps}
        for place, read, tested, in_macro in bindings:
            value = read(context)
            if value is MISSING:
                continue
            kind = type(value)
            if tested:
                value = {}
            elif kind is str:
                if in_macro and len(value) > _LONGEST_IN_MACRO:
                    return None
            elif kind is int:
                value = value if -_LARGEST <= value < _LARGEST else float(value)
            elif kind in (list, tuple, dict):
                if in_macro or not _is_small(value, longest):
                    return None
                value = list(value) if kind is tuple else value
            _put(variables, place, value)
        return variables

    return bind


def _put(variables: dict[Any, Any], place: tuple[str | int, ...], value: Any) -> None:
    """Put ``value`` at its place; an index is a key, as CEL reads both alike."""
    for step in place[:-1]:
        variables = variables.setdefault(step, {})
    variables.setdefault(place[-1], value)


def _is_small(value: Any, longest: int) -> bool:
    """Whether a container has no more values, levels and members than an evaluation can take."""
    level, total = [value], 0
    for _ in range(_DEEPEST + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, (list, tuple)):
                if len(item) > longest:
                    return False
                inner.extend(item)
            elif isinstance(item, dict):
                inner.extend(item.values())
        total += len(inner)
        if not inner or total > _MOST_VALUES:
            return not inner
        level = inner
    return False
