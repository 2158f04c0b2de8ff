"""Fields of a document, set from the command line: ``limits.max_context_size=8000``.

A path is names with dots between them and places in brackets: ``endpoints[0].weight``. A name with
dots of its own is quoted: ``match."headers.x-team".eq``. A value is JSON, and otherwise text.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import typer

Step = str | int

_STEP = re.compile(r'(?:^|\.)(?:"(?P<quoted>[^"]+)"|(?P<name>[^."\[\]]+))|\[(?P<place>\d+)\]')


def with_fields(
    document: dict[str, Any], given: Sequence[str], dropped: Sequence[str]
) -> dict[str, Any]:
    """Return the document with fields set (``path=value``) and others left out.

    Raises typer.BadParameter when a path is none, or leads nowhere in this document.
    """
    document = msgspec.json.decode(msgspec.json.encode(document))
    for text in given:
        path, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set {text}: write it as path=value, such as enabled=true")
        _set(document, _steps("--set", path), _value(value), path)
    for path in dropped:
        _drop(document, _steps("--unset", path), path)
    return document


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    except UnicodeError:
        raise typer.BadParameter(f"--set …={text!r}: not UTF-8") from None


def _steps(option: str, path: str) -> list[Step]:
    steps: list[Step] = []
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            break
        place = found["place"]
        steps.append(int(place) if place else found["quoted"] or found["name"])
        at = found.end()
    if not steps or at < len(path):
        raise typer.BadParameter(
            f"{option} {path}: not a path such as timeout_seconds, endpoints[0].weight or "
            'match."headers.x-team".eq'
        )
    return steps


def _set(document: Any, steps: Sequence[Step], value: Any, path: str) -> None:
    """Set it; objects on the way are made, and a place after the last of a list adds to it."""
    inside = document
    for step, after in pairwise(steps):
        if isinstance(inside, dict) and isinstance(step, str):
            inside = inside.setdefault(step, [] if isinstance(after, int) else {})
        else:
            inside = _inside(inside, step, "--set", path)
    last = steps[-1]
    if isinstance(inside, list) and last == len(inside):
        inside.append(value)
        return
    if not (isinstance(inside, dict) and isinstance(last, str)):
        _inside(inside, last, "--set", path)
    inside[last] = value


def _drop(document: Any, steps: Sequence[Step], path: str) -> None:
    inside = document
    for step in steps[:-1]:
        inside = _inside(inside, step, "--unset", path)
    _inside(inside, steps[-1], "--unset", path)
    del inside[steps[-1]]


def _inside(value: Any, step: Step, option: str, path: str) -> Any:
    there = (isinstance(value, dict) and step in value) or (
        isinstance(value, list) and isinstance(step, int) and step < len(value)
    )
    if there:
        return value[step]
    what = f"place {step}" if isinstance(step, int) else f'field "{step}"'
    raise typer.BadParameter(f"{option} {path}: this document has no {what} there")
