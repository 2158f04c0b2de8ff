"""The tree of a CEL expression, read from what the library serialises.

That is ``cel.expr.ParsedExpr`` (cel-spec, ``syntax.proto``) in protobuf's wire format. The library
shows the tree in no other way, and a tokeniser of our own would have to guess at what the parser
knows: scopes, macros, literals.
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple


class Const(NamedTuple):
    """A literal."""

    offset: int
    value: Any


class Name(NamedTuple):
    """A variable, of the expression or of a macro."""

    offset: int
    name: str


class Field(NamedTuple):
    """``operand.name``; ``tested``: inside ``has()``."""

    offset: int
    operand: "Node"
    name: str
    tested: bool


class Call(NamedTuple):
    """A function or operator (``_==_``, ``@in``, ``_[_]``); the target comes first."""

    offset: int
    function: str
    args: "tuple[Node, ...]"


class Items(NamedTuple):
    """A list literal."""

    offset: int
    items: "tuple[Node, ...]"


class Message(NamedTuple):
    """A map literal, or a message when it has a name."""

    offset: int
    name: str
    parts: "tuple[Node, ...]"


class Macro(NamedTuple):
    """A comprehension: ``step`` is evaluated for each member of ``over``; ``start`` is a list for
    those that build one."""

    offset: int
    variable: str
    over: "Node"
    start: "Node"
    step: "Node"


Node = Const | Name | Field | Call | Items | Message | Macro

_Fields = dict[int, list[Any]]


def read_tree(serialised: bytes) -> Node:
    """Return the tree of a serialised expression; offsets count characters of its text."""
    parsed = _fields(_fields(serialised)[2][0])
    positions = _fields(parsed[3][0]).get(4, [])
    offsets = {}
    for entry in positions:
        pair = _fields(entry)
        offsets[pair[1][0]] = pair.get(2, [0])[0]
    return _Reader(offsets).node(parsed[2][0])


class _Reader:
    def __init__(self, offsets: dict[int, int]) -> None:
        self._offsets = offsets

    def node(self, raw: bytes) -> Node:
        """Read an ``Expr``; the number of its one-of says which kind it is."""
        fields = _fields(raw)
        offset = self._offsets.get(fields.get(2, [0])[0], 0)
        kind = next(number for number in fields if number != 2)
        body = _fields(fields[kind][0])
        match kind:
            case 3:
                return Const(offset, _constant(body))
            case 4:
                return Name(offset, _text(body, 1))
            case 5:
                return Field(offset, self.node(body[1][0]), _text(body, 2), 3 in body)
        return self._compound(kind, offset, body)

    def _compound(self, kind: int, offset: int, body: _Fields) -> Node:
        match kind:
            case 6:
                args = self._nodes(body.get(1, []) + body.get(3, []))
                return Call(offset, _text(body, 2), args)
            case 7:
                return Items(offset, self._nodes(body.get(1, [])))
            case 8:
                entries = [_fields(entry) for entry in body.get(2, [])]
                parts = [part for entry in entries for n in (3, 4) for part in entry.get(n, [])]
                return Message(offset, _text(body, 1), self._nodes(parts))
        over, start, step = (self.node(body[number][0]) for number in (2, 4, 6))
        return Macro(offset, _text(body, 1), over, start, step)

    def _nodes(self, raws: list[bytes]) -> tuple[Node, ...]:
        return tuple([self.node(raw) for raw in raws])


def _text(fields: _Fields, number: int) -> str:
    return bytes(fields.get(number, [b""])[0]).decode()


def _constant(fields: _Fields) -> Any:
    number, values = next(iter(fields.items()), (1, [0]))
    value: Any = values[0]
    match number:
        case 2:
            return bool(value)
        case 3:
            return value - 2**64 if value >= 2**63 else value
        case 5:
            return struct.unpack("<d", value)[0]
        case 6:
            return value.decode()
    return None if number == 1 else value  # null; an unsigned number or bytes as they are


def _fields(raw: bytes) -> _Fields:
    fields: _Fields = {}
    for number, value in _pairs(raw):
        fields.setdefault(number, []).append(value)
    return fields


def _pairs(raw: bytes) -> Iterator[tuple[int, Any]]:
    """Yield field numbers and values: integers for varints, bytes for all else."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(raw, at)
            yield tag >> 3, value
            continue
        length, at = _varint(raw, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
        yield tag >> 3, raw[at : at + length]
        at += length


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
