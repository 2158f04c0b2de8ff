"""Conditions: a document → one predicate, with every fault that the document has.

``{"all": […]} | {"any": […]} | {"not": …} | {SUBJECT: {OP: value, …}, …}``, nested freely; several
keys are ANDed, ``{SUBJECT: scalar}`` is short for ``eq``, and ``{}`` is always true.
``{"expr": …}`` is an expression in CEL.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sidecar.errors import ConfigError, Fault
from sidecar.match import operators
from sidecar.match.expr import compile_expr
from sidecar.match.operators import MAX_DEPTH, SEARCHES, Test
from sidecar.match.subjects import NO_FLAGS, compile_accessor, headers_of
from sidecar.model import Accessor, Context, Predicate, Resolver, no_subjects

_CLAUSES = 200
_SEARCHES = 20
_REGEXES = 5
_NESTED = 8
"""What a condition of a request may have: it is compiled and asked while others wait."""


class Compiled(NamedTuple):
    """A condition, ready to be asked.

    ``models``: the only model names that can match, when the condition pins them, else ``None``.
    ``headers``: the request headers that it reads, lower-case.
    """

    matches: Predicate
    models: frozenset[str] | None = None
    headers: frozenset[str] = frozenset()


def compile_condition(
    document: Any,
    path: str,
    *,
    flags: Mapping[str, Predicate] = NO_FLAGS,
    subjects: Resolver = no_subjects,
    untrusted: bool = False,
) -> Compiled:
    """Compile a CONDITION. ``flags``: what `flags.<name>` may read; ``path``: where it stands.

    ``subjects`` is asked first for the accessor of a subject, and returns ``None`` for those that
    it does not know. ``untrusted``: the document comes in a request, so it is bounded in size,
    depth and cost, and has no ``expr``.
    Raises ConfigError with every fault, each with its path; of an untrusted one with the first.
    """
    build = _Untrusted(flags, subjects) if untrusted else _Build(flags, subjects)
    compiled = build.condition(document, path, build.depth)
    if build.faults:
        raise ConfigError(build.faults)
    return compiled


def _always(_: Context) -> bool:
    return True


_ALWAYS = Compiled(_always)


class _Build:
    """One compilation: goes on after a fault, so that an operator sees all of them at once."""

    depth = MAX_DEPTH
    untrusted = False

    def __init__(self, flags: Mapping[str, Predicate], subjects: Resolver) -> None:
        self.flags = flags
        self.subjects = subjects
        self.faults: list[Fault] = []

    def condition(self, document: Any, path: str, depth: int) -> Compiled:
        """Compile any condition; ``depth`` more levels may follow."""
        if not isinstance(document, Mapping):
            return self._refuse(path, "a condition is an object")
        if depth == 0:
            return self._refuse(path, f"nested deeper than {self.depth}")
        members = document.items()
        return _all([self._member(str(key), value, path, depth) for key, value in members])

    def _member(self, key: str, value: Any, path: str, depth: int) -> Compiled:
        place = f"{path}.{key}"
        match key:
            case "all":
                return _all(self._branches(value, place, depth))
            case "any":
                return _any(self._branches(value, place, depth) or [self._empty_any(place)])
            case "not":
                return _not(self.condition(value, place, depth - 1))
            case "expr":
                return self._expr(value, place)
        return self._clause(key, value, place)

    def _branches(self, documents: Any, path: str, depth: int) -> list[Compiled]:
        if not isinstance(documents, (list, tuple)):
            return [self._refuse(path, "needs an array of conditions")]
        return [
            self.condition(document, f"{path}[{place}]", depth - 1)
            for place, document in enumerate(documents)
        ]

    def _empty_any(self, path: str) -> Compiled:
        return self._refuse(path, "needs at least one condition: an empty any is never true")

    def _clause(self, subject: str, asked: Any, path: str) -> Compiled:
        """Compile all operators on one subject, which is read once."""
        read = self._accessor(subject, path)
        if isinstance(asked, (list, tuple)):
            return self._refuse(path, "an array needs an operator, such as in or contains")
        if asked == {}:
            return self._refuse(path, f"needs an operator; legal: {operators.LEGAL}")
        shorthand = not isinstance(asked, Mapping)
        asks = {"eq": asked} if shorthand else {str(name): value for name, value in asked.items()}
        tests = [
            self._test(name, operand, path if shorthand else f"{path}.{name}")
            for name, operand in asks.items()
        ]
        models = _pins(asks) if subject == "model" else None
        test = _every(tests)
        return Compiled(lambda context: test(read(context)), models, headers_of(subject))

    def _expr(self, text: Any, path: str) -> Compiled:
        try:
            compiled = compile_expr(text, path, flags=self.flags)
        except ConfigError as error:
            self._note(error.faults)
            return _ALWAYS
        return Compiled(compiled.matches, None, compiled.headers)

    def _accessor(self, subject: str, path: str) -> Accessor:
        try:
            own = self.subjects(subject, path)
            return compile_accessor(subject, path, flags=self.flags) if own is None else own
        except ConfigError as error:
            self._note(error.faults)
            return _always

    def _test(self, name: str, operand: Any, path: str) -> Test:
        try:
            return operators.compile_test(name, operand, path, untrusted=self.untrusted)
        except ConfigError as error:
            self._note(error.faults)
            return bool

    def _refuse(self, path: str, message: str) -> Compiled:
        self._note([Fault(path, message)])
        return _ALWAYS

    def _note(self, faults: Sequence[Fault]) -> None:
        self.faults.extend(faults)


class _Untrusted(_Build):
    """A compilation of a condition in a request: it ends at the first fault or limit."""

    depth = _NESTED
    untrusted = True

    def __init__(self, flags: Mapping[str, Predicate], subjects: Resolver) -> None:
        super().__init__(flags, subjects)
        self.clauses = self.searches = self.regexes = 0

    def condition(self, document: Any, path: str, depth: int) -> Compiled:
        self._count(path)
        return super().condition(document, path, depth)

    def _expr(self, _text: Any, path: str) -> Compiled:
        return self._refuse(path, "expressions are for stored rules only")

    def _test(self, name: str, operand: Any, path: str) -> Test:
        self._count(path)
        plain = name.removeprefix("$")
        self.searches += plain in SEARCHES
        self.regexes += plain == "regex"
        if self.searches > _SEARCHES or self.regexes > _REGEXES:
            listed = " ".join(sorted(SEARCHES))
            limits = f"at most {_SEARCHES} of {listed}, and {_REGEXES} of regex"
            self._refuse(path, f"too many searches; {limits}")
        return super()._test(name, operand, path)

    def _count(self, path: str) -> None:
        self.clauses += 1
        if self.clauses > _CLAUSES:
            self._refuse(path, f"more than {_CLAUSES} clauses")

    def _note(self, faults: Sequence[Fault]) -> None:
        raise ConfigError(faults)


def _pins(asks: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the texts that ``eq`` and ``in`` allow; a number pins nothing, as "1" equals 1."""
    models: frozenset[str] | None = None
    for name, operand in asks.items():
        names = {"eq": [operand], "in": operand}.get(name.removeprefix("$"))
        if isinstance(names, (list, tuple)) and all(isinstance(item, str) for item in names):
            models = frozenset(names) if models is None else models & frozenset(names)
    return models


def _headers(parts: Sequence[Compiled]) -> frozenset[str]:
    return frozenset().union(*(part.headers for part in parts))


def _all(parts: Sequence[Compiled]) -> Compiled:
    if len(parts) == 1:
        return parts[0]
    pins = [part.models for part in parts if part.models is not None]
    models = frozenset.intersection(*pins) if pins else None
    return Compiled(_every([part.matches for part in parts]), models, _headers(parts))


def _any(parts: Sequence[Compiled]) -> Compiled:
    if len(parts) == 1:
        return parts[0]
    pins = [part.models for part in parts if part.models is not None]
    models = frozenset().union(*pins) if len(pins) == len(parts) else None
    return Compiled(_some([part.matches for part in parts]), models, _headers(parts))


def _not(part: Compiled) -> Compiled:
    matches = part.matches
    return Compiled(lambda context: not matches(context), None, part.headers)


def _every(tests: Sequence[Test]) -> Test:
    if not tests:
        return _always
    if len(tests) == 1:
        return tests[0]

    def every(asked: Any) -> bool:
        for test in tests:  # noqa: SIM110 - all() would make a generator for every request
            if not test(asked):
                return False
        return True

    return every


def _some(tests: Sequence[Test]) -> Test:
    def some(asked: Any) -> bool:
        for test in tests:  # noqa: SIM110 - any() would make a generator for every request
            if test(asked):
                return True
        return False

    return some
