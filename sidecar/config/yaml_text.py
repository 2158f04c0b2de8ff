"""YAML as another way to write JSON: what comes in is bounded, and nothing in it is guessed.

Values are JSON's: `no`, a date and `0x10` are text, and no tag makes an object. Anchors, aliases
and merge keys (`<<`) work, as far as the bounds allow.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from sidecar.errors import ConfigError, Fault

MOST_DEPTH = 100
MOST_ALIASED = 10_000_000
"""Characters that all aliases together may stand for: ten lines can stand for a billion."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_WORDS = {"": None, "~": None} | {
    cased: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for cased in (word, word.capitalize(), word.upper())
}
_TEXT_TAGS = frozenset({None, "!", "tag:yaml.org,2002:str"})
_ENDS = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


class _Anchored(NamedTuple):
    """What an alias stands for; ``height``: how deep it is nested in itself."""

    value: Any
    size: int
    height: int


def read_yaml(text: bytes, path: str = "") -> Any:
    """Return the value of one YAML document, a JSON value. ``path``: of the whole, for faults.

    Raises ConfigError with path, line and column: no YAML, a key that is there twice, a number
    that JSON does not have, a tag, or more than the bounds allow.
    """
    try:
        # Events, not nodes: libyaml makes nodes by recursion, and a deep text ends the process.
        return _Reader(yaml.parse(text, Loader=_Loader)).document(path)
    except yaml.MarkedYAMLError as error:
        what = f"{_place(error.problem_mark)}not valid YAML: {error.problem or error.context}"
        raise ConfigError([Fault(path or "configuration", what)]) from None
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        what = f"not valid YAML: {str(error).splitlines()[0]}"
        raise ConfigError([Fault(path or "configuration", what)]) from None


class _Dumper(_SafeDumper):  # type: ignore[misc]
    """Quotes what either version of YAML would read as something else than text."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver("!number", _NUMBER, list("-0123456789"))


def write_yaml(value: Any) -> bytes:
    """Return a JSON value as YAML (UTF-8) that ``read_yaml`` reads."""
    text: bytes = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, encoding="utf-8"
    )
    return text


class _Reader:
    """Makes values of events."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, _Anchored] = {}
        self._size = 0
        """Characters so far, with what aliases stand for; nodes count as one."""
        self._aliased = 0
        self._reached = 0

    def document(self, path: str) -> Any:
        """Return the one document that there is."""
        event = self._next_after(yaml.StreamStartEvent)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        value = self._value(next(self._events), path, 0)
        another = self._next_after(yaml.DocumentEndEvent)
        if not isinstance(another, yaml.StreamEndEvent):
            raise _fault(another, path, "another document begins: there may be one")
        return value

    def _next_after(self, kind: type) -> Any:
        event = next(self._events)
        return next(self._events) if isinstance(event, kind) else event

    def _value(self, event: Any, path: str, depth: int) -> Any:
        if depth > MOST_DEPTH:
            raise _fault(event, path[:200], f"is nested more than {MOST_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path, depth)
        if event.anchor is None:
            return self._plain(event, path, depth)
        self._anchors.pop(event.anchor, None)
        size, reached, self._reached = self._size, self._reached, depth
        value = self._plain(event, path, depth)
        found = _Anchored(value, self._size - size, self._reached - depth)
        self._anchors[event.anchor] = found
        self._reached = max(reached, self._reached)
        return value

    def _alias(self, event: Any, path: str, depth: int) -> Any:
        found = self._anchors.get(event.anchor)
        if found is None:
            raise _fault(event, path, f"*{event.anchor[:50]} is not known here")
        self._size += found.size
        self._aliased += found.size
        if self._aliased > MOST_ALIASED:
            raise _fault(event, path, f"aliases stand for more than {MOST_ALIASED:,} characters")
        if depth + found.height > MOST_DEPTH:
            raise _fault(event, path, f"is nested more than {MOST_DEPTH} deep")
        self._reached = max(self._reached, depth + found.height)
        return found.value

    def _plain(self, event: Any, path: str, depth: int) -> Any:
        self._size += 1
        self._reached = max(self._reached, depth)
        if isinstance(event, yaml.ScalarEvent):
            self._size += len(event.value)
            return _scalar(event, path)
        if event.tag is not None:
            raise _fault(event, path, f"has the tag {event.tag[:50]}, which JSON does not have")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path, depth)
        return self._sequence(path, depth)

    def _sequence(self, path: str, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), _ENDS):
            found.append(self._value(event, f"{path}[{len(found)}]", depth + 1))
        return found

    def _mapping(self, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(key := next(self._events), _ENDS):
            if not isinstance(key, yaml.ScalarEvent):
                raise _fault(key, path, "a key must be text")
            where = f"{path}.{key.value}" if path else key.value
            value = self._value(next(self._events), where, depth + 1)
            if key.value == "<<" and key.implicit[0]:
                merged = _merged(key, value, path) | merged
            elif key.value in found:
                raise _fault(key, where, "is there twice")
            else:
                found[_as_text(key, path)] = value
        return merged | found


def _merged(key: Any, value: Any, path: str) -> dict[str, Any]:
    """Return what a merge key brings; of a list the first has precedence."""
    merged: dict[str, Any] = {}
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, dict):
            raise _fault(key, path, "<< takes mappings only")
        merged = one | merged
    return merged


def _scalar(event: Any, path: str) -> Any:
    if event.tag not in _TEXT_TAGS:
        raise _fault(event, path, f"has the tag {event.tag[:50]}, which JSON does not have")
    text = event.value
    if not event.implicit[0]:  # quoted, a block, or tagged as text
        return _as_text(event, path)
    if text in _WORDS:
        return _WORDS[text]
    number = _NUMBER.match(text)
    if number is None:
        return _as_text(event, path)
    whole = number[1] is None and number[2] is None
    value = (int(text) if len(text) < 22 else 2**64) if whole else float(text)
    if not -(2**63) <= value < 2**64 and (whole or value in {float("inf"), float("-inf")}):
        raise _fault(event, path, "is a number that JSON's readers do not have")
    return value


def _as_text(event: Any, path: str) -> str:
    text: str = event.value
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _fault(event, path, "is no Unicode text") from None
    return text


def _fault(event: Any, path: str, message: str) -> ConfigError:
    place = f"{_place(event.start_mark)}{message}"
    return ConfigError([Fault(path or "configuration", place)])


def _place(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
