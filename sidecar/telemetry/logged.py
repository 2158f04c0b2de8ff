"""Fields of access log entries, read so that nothing odd in them raises."""

from typing import Any

import msgspec

from sidecar.model import MOST_ASSIGNMENTS, Assignment
from sidecar.pb.access_log_entry_pb2 import AccessLogCommon


def fields(spaces: Any, name: str) -> Any:
    """Return the fields of a metadata namespace, ``None`` without it."""
    space = spaces.get(name)
    return None if space is None else space.fields


def text(found: Any, key: str) -> str:
    """Return a text field; empty without one."""
    value = found.get(key) if found else None
    return "" if value is None else value.string_value


def words(text: str) -> tuple[str, ...]:
    """Return the words between commas."""
    return tuple(text.split(",")) if text else ()


def assignments(text: str) -> tuple[Assignment, ...]:
    """Read ``[["checkout",3,"canary",0.2,"9f86d081884c7d65",""]]``."""
    if not text:
        return ()
    try:
        found = msgspec.json.decode(text, type=tuple[Assignment, ...])
    except (msgspec.DecodeError, UnicodeError):
        return ()
    return found[:MOST_ASSIGNMENTS]


def probability(text: str) -> float | None:
    """Return a number from 0 to 1; ``None`` of anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None


def count(text: str | None) -> int | None:
    """Return a number of at most 12 digits; Envoy writes `-` where it has none."""
    if text is None or len(text) > 12 or not text.isdecimal():
        return None
    return int(text)


def microseconds(text: str | None) -> float | None:
    """Return seconds from a count of microseconds."""
    number = count(text)
    return None if number is None else number * 1e-6


def seconds(common: AccessLogCommon, tag: str) -> float | None:
    """Return the seconds of a custom tag in microseconds."""
    return microseconds(common.custom_tags.get(tag))
