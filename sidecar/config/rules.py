"""Flag and route documents: their fields, and what of them depends on no other document."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from sidecar import match
from sidecar.config.documents import check_name
from sidecar.config.faults import decode
from sidecar.errors import ConfigError, Fault
from sidecar.model import Predicate


class FlagDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``share`` is a percentage of the values of the subject ``key``."""

    enabled: bool = True
    share: float | None = None
    key: str = "user.id"
    match: dict[str, Any] | None = None
    description: str = ""


class RouteDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Routes are tried by ``order``, then name; without ``match`` a route always matches.

    ``router`` is the name of a stored router, else the name of a target, else a definition.
    """

    router: str | dict[str, Any]
    order: float = 100.0
    enabled: bool = True
    match: dict[str, Any] | None = None
    description: str = ""


class Flags(NamedTuple):
    """All flags, compiled. ``headers``: the request headers that they read."""

    texts: Mapping[str, bytes]
    predicates: Mapping[str, Predicate]
    headers: frozenset[str]


class Rule(NamedTuple):
    """A route without its router: valid while its text and the flags stay.

    The decoded document is not kept: of 10,000 routes it would take more memory than the rest.
    """

    text: bytes
    flags: Flags
    order: float
    enabled: bool
    condition: match.Compiled | None


def compile_flags(texts: Mapping[str, bytes], faults: list[Fault]) -> Flags:
    """Compile all flags; a wrong one is never on, so that references to it still resolve."""
    faults.extend(fault for name in texts for fault in check_name("flags", name))
    compiled = {name: _flag(name, text, faults) for name, text in texts.items()}
    headers = frozenset[str]().union(*(flag.headers for flag in compiled.values()))
    return Flags(texts, {name: flag.matches for name, flag in compiled.items()}, headers)


def decode_route(name: str, text: bytes) -> RouteDocument:
    """Decode a route; raises ConfigError."""
    return decode(text, RouteDocument, f"routes.{name}")


def compile_rule(name: str, text: bytes, flags: Flags, faults: list[Fault]) -> Rule:
    """Decode a route and compile its condition, whose faults go to ``faults``.

    Raises ConfigError when the document itself cannot be read.
    """
    path = f"routes.{name}"
    document = decode_route(name, text)
    condition = None
    try:
        if document.match is not None:
            condition = match.compile_condition(
                document.match, f"{path}.match", flags=flags.predicates
            )
    except ConfigError as error:
        faults.extend(error.faults)
    return Rule(text, flags, document.order, document.enabled, condition)


def _flag(name: str, text: bytes, faults: list[Fault]) -> match.Compiled:
    path = f"flags.{name}"
    try:
        document = decode(text, FlagDocument, path)
        return match.compile_flag(
            name,
            path,
            enabled=document.enabled,
            share=document.share,
            key=document.key,
            match=document.match,
        )
    except ConfigError as error:
        faults.extend(error.faults)
        return match.Compiled(lambda _: False)
