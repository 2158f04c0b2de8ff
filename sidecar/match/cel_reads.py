"""What an expression reads of a request, and whether it can become too costly.

The library bounds iterations and nesting. What else makes an evaluation slow is refused here: many
readings of long values, macros in macros over the same data, texts that grow, and patterns or
needles that come from clients.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from sidecar.errors import ConfigError, Fault
from sidecar.match.cel_check import GROUPS, MAPS, ROOTS, TYPE_NAMES, at
from sidecar.match.cel_tree import Call, Const, Field, Items, Macro, Message, Name, Node
from sidecar.match.patterns import BadPattern, compile_bounded

_MOST_READINGS = 50
_MATCHES = 4
_MOST_MACROS = 8

_OPERATORS = "_&&_ _||_ !_ _?_:_ _==_ _!=_ _<_ _<=_ _>_ _>=_ @in _+_ _-_ _*_ _/_ _%_ -_ _[_]"
_FUNCTIONS = "size contains startsWith endsWith matches int uint double string bool type dyn"
_ALLOWED = frozenset([*_OPERATORS.split(), *_FUNCTIONS.split(), "@not_strictly_false"])
_LONG_TEXTS = frozenset({"prompt.text", "prompt.last", "prompt.system"})
_KEYED = frozenset({"headers", "body", "metadata", "flags"})
"""Maps of which ``"name" in map`` may be asked."""


class Read(NamedTuple):
    """One place where the expression reads a variable: ``root`` and the ``steps`` from there.

    ``tested``: only whether it is there. ``in_macro``: once for each member of a client's array.
    """

    root: str
    steps: tuple[str | int, ...]
    tested: bool
    in_macro: bool
    offset: int


class Reads(NamedTuple):
    """All that is read. ``has_calls``: offsets for `check_types`. ``filters``: lists are copied."""

    reads: tuple[Read, ...]
    has_calls: tuple[int, ...]
    filters: bool


class _Scope(NamedTuple):
    """``variables`` of macros: whether they stand for a client's data. ``times``: how often the
    lists of constants around repeat this place. ``inside``: the variable of the innermost macro
    over a client's data."""

    variables: Mapping[str, bool] = MappingProxyType({})
    times: int = 1
    inside: str | None = None


def read_expression(text: str, tree: Node, path: str) -> Reads:
    """Return what ``tree``, the tree of ``text``, reads; raises ConfigError when that is costly."""
    walk = _Walk(text, path)
    walk.visit(tree, _Scope())
    if walk.readings > _MOST_READINGS:
        message = (
            f"costs too much: {walk.readings} readings of values, at most {_MOST_READINGS}; matches"
            f" counts {_MATCHES} more, and a list of constants repeats what stands in its macro"
        )
        raise ConfigError([Fault(path, message)])
    return Reads(tuple(walk.reads), tuple(walk.has_calls), walk.filters)


class _Walk:
    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._path = path
        self._macros = 0
        self.reads: list[Read] = []
        self.has_calls: list[int] = []
        self.filters = False
        self.readings = 0

    def visit(self, node: Node, scope: _Scope) -> None:
        """Walk the tree below ``node``; every kind of node but a literal may read."""
        match node:
            case Name() | Field():
                self._chain(node, scope)
            case Call():
                self._call(node, scope)
            case Macro():
                self._macro(node, scope)
            case Items(_, parts):
                self._all(parts, scope)
            case Message(offset, name, parts):
                if name:
                    self._refuse(offset, f"{name} is not available")
                self._all(parts, scope)

    def _all(self, nodes: tuple[Node, ...], scope: _Scope) -> None:
        for node in nodes:
            self.visit(node, scope)

    def _refuse(self, offset: int, message: str) -> NoReturn:
        raise ConfigError([Fault(self._path, f"{at(self._text, offset)}: {message}")])

    def _chain(self, node: Node, scope: _Scope) -> None:
        """Note what ``a.b[0].c`` reads; a computed index reads on its own."""
        base, steps = unroll(node)
        tested = isinstance(node, Field) and node.tested
        if isinstance(base, Name):
            self._read(base, steps, scope, tested=tested)
            if tested and base.name in GROUPS and base.name not in scope.variables:
                self.has_calls.append(node.offset)
        elif isinstance(base, Call) and base.function == "_[_]":
            self._all(base.args, scope)
        else:
            self.visit(base, scope)

    def _read(
        self, base: Name, steps: tuple[str | int, ...], scope: _Scope, *, tested: bool
    ) -> None:
        root = base.name
        if root.startswith("@") or root in TYPE_NAMES:  # "@": what a macro collects in
            return
        self.readings += scope.times * scope.variables.get(root, True)
        if root in scope.variables:
            return
        if root in GROUPS | MAPS and not (steps and isinstance(steps[0], str)):
            example = 'headers["x-a"]' if root == "headers" else f"{root}.<name>"
            self._refuse(base.offset, f"{root} needs a name, written out: {example}")
        name = ".".join(map(str, (root, *steps)))
        if scope.inside and name in _LONG_TEXTS:
            self._refuse(base.offset, f"{name} is too long for a macro over the request's data")
        read = Read(root, steps, tested, scope.inside is not None, base.offset)
        self.reads.append(read)

    def _call(self, node: Call, scope: _Scope) -> None:
        function, args = node.function, node.args
        if function not in _ALLOWED:
            legal = f"legal: {_FUNCTIONS}, has, and the macros all exists exists_one filter"
            self._refuse(node.offset, f"{function} is not available; {legal}")
        if function == "_[_]":
            self._chain(node, scope)
            return
        if function == "matches":
            self._matches(node, scope)
        elif function == "contains" and not _is_constant(args[-1], scope):
            self._refuse(node.offset, "contains needs a literal text")
        elif function == "@in" and isinstance(args[0], Const) and isinstance(args[1], Name):
            name = args[1]
            if name.name in _KEYED and name.name not in scope.variables:
                self._read(name, (args[0].value,), scope, tested=True)
                return
        self._all(args, scope)

    def _matches(self, node: Call, scope: _Scope) -> None:
        pattern = node.args[-1]
        if not isinstance(pattern, Const) or not isinstance(pattern.value, str):
            self._refuse(node.offset, "matches needs a literal pattern")
        if scope.inside:
            self._refuse(node.offset, "matches cannot stand in a macro over the request's data")
        try:
            compile_bounded(pattern.value)
        except BadPattern as error:
            self._refuse(pattern.offset, str(error))
        self.readings += _MATCHES * scope.times

    def _macro(self, node: Macro, scope: _Scope) -> None:
        self._macros += 1
        if self._macros > _MOST_MACROS:
            self._refuse(node.offset, f"more than {_MOST_MACROS} macros")
        if node.variable in ROOTS:
            self._refuse(node.offset, f"{node.variable} is a subject; name the variable otherwise")
        if isinstance(node.start, Items):
            self._check_list(node)
        self.visit(node.over, scope)
        self.visit(node.step, self._inner(node, scope))

    def _check_list(self, node: Macro) -> None:
        """Allow only lists made of the variable itself: ``map`` can make values that grow."""
        if not _collects(node.step, node.variable):
            self._refuse(node.offset, "map is not available: say what is asked in exists or all")
        self.filters = True

    def _inner(self, node: Macro, scope: _Scope) -> _Scope:
        variable, over = node.variable, node.over
        if isinstance(over, Items) and all(isinstance(item, Const) for item in over.items):
            variables = {**scope.variables, variable: False}
            return _Scope(variables, scope.times * max(len(over.items), 1), scope.inside)
        while isinstance(over, Macro):  # x.filter(…).exists(…)
            over = over.over
        base, _ = unroll(over)
        if not isinstance(base, Name) or (base.name in scope.variables and not scope.inside):
            self._refuse(node.offset, "a macro ranges over a value or a list of constants")
        if scope.inside and base.name != scope.inside:
            message = f"a macro in a macro ranges over its variable, {scope.inside}"
            self._refuse(node.offset, f"costs too much: {message}, or a list of constants")
        return _Scope({**scope.variables, variable: True}, scope.times, variable)


def unroll(node: Node) -> tuple[Node, tuple[str | int, ...]]:
    """Return what ``a.b[0].c`` starts from and its steps; a computed index ends the way down."""
    steps: list[str | int] = []
    while True:
        if isinstance(node, Field):
            steps.append(node.name)
            node = node.operand
            continue
        index = _index(node)
        if index is None or not isinstance(node, Call):
            return node, tuple(reversed(steps))
        steps.append(index)
        node = node.args[0]


def _index(node: Node) -> str | int | None:
    if isinstance(node, Call) and node.function == "_[_]" and isinstance(node.args[1], Const):
        value = node.args[1].value
        return value if isinstance(value, str) or type(value) is int else None
    return None


def _is_constant(node: Node, scope: _Scope) -> bool:
    if isinstance(node, Name):
        return not scope.variables.get(node.name, True)
    return isinstance(node, Const)


def _collects(step: Node, variable: str) -> bool:
    """Whether all list literals in ``step`` that are added to the result hold the variable."""
    match step:
        case Call(_, "_?_:_", (_, added, _)):
            return _collects(added, variable)
        case Call(_, "_+_", (_, Items(_, (Name(_, name),)))):
            return name == variable
    return False
