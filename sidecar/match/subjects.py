"""Subjects: what a condition can ask about, each compiled to an accessor when rules load."""

import difflib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from sidecar.errors import ConfigError, Fault
from sidecar.match.metrics import compile_metric
from sidecar.model import MISSING, Accessor, Context, Predicate

NO_FLAGS: Mapping[str, Predicate] = MappingProxyType({})

_HEADERS = {
    "user.id": frozenset({"x-user-id"}),
    "user.tenant": frozenset({"x-tenant-id"}),
    "user.tier": frozenset({"x-user-tier"}),
    "session": frozenset({"x-session-id"}),
    "api_key": frozenset({"authorization", "x-api-key", "api-key"}),
    "region": frozenset({"x-region"}),
    "max_cost_per_token": frozenset({"x-max-cost-per-token"}),
}

_HEADER_NAME = re.compile(r"[a-z0-9._-]+")
_STEP = re.compile(r"([^.\[\]]+)((?:\[[0-9]{1,9}\])*)")
_INDEX = re.compile(r"[0-9]+")

_LONGEST_NAME = 100
"""A subject that is longer is not searched for its nearest."""

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_TIERS = ("tiers", "user_tags", "tags")
_USER_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "user_id"),
    "name": ("name", "user_name"),
    "email": ("email", "user_email"),
    "tiers": _TIERS,
    "tags": _TIERS,
}
"""Spellings of the same member of ``extra.user``, as LangDB's clients send them."""


def compile_accessor(
    subject: str, path: str, *, flags: Mapping[str, Predicate] = NO_FLAGS
) -> Accessor:
    """Compile ``subject`` (`user.id`, `headers.x-a`, `body.a[0].b`) to its accessor.

    Raises ConfigError with ``path`` when there is no such subject.
    """
    fixed = _FIXED.get(subject)
    if fixed is not None:
        return fixed
    family, _, rest = subject.partition(".")
    if rest and family == "flags":
        return _flag(rest, path, flags)
    build = _FAMILIES.get(family)
    if build is None or not rest:
        raise _unknown(subject, path)
    return build(rest, path)


def headers_of(subject: str) -> frozenset[str]:
    """Return the request headers (lower-case) that a valid ``subject`` reads.

    Those of a flag are in the flag's own ``Compiled.headers``.
    """
    family, _, name = subject.partition(".")
    if family == "headers":
        return frozenset({name.lower()})
    return _HEADERS.get(subject, frozenset())


def _unknown(subject: str, path: str) -> ConfigError:
    if len(subject) > _LONGEST_NAME:  # the search for the nearest takes quadratic time
        return _fault(path, f'unknown subject "{subject[:_LONGEST_NAME]}…"; legal: {LEGAL}')
    _, _, rest = subject.partition(".")
    known = [*_FIXED, *(f"{name}.{rest or '<name>'}" for name in (*_FAMILIES, "flags"))]
    near = difflib.get_close_matches(subject, known, n=1)
    hint = f'; did you mean "{near[0]}"?' if near and near[0] != subject else ";"
    return _fault(path, f'unknown subject "{subject}"{hint} legal: {LEGAL}')


def _fault(path: str, message: str) -> ConfigError:
    return ConfigError([Fault(path, message)])


def _optional(attributes: str) -> Accessor:
    read = attrgetter(attributes)

    def accessor(context: Context) -> Any:
        value = read(context)
        return MISSING if value is None else value

    return accessor


def _tags(context: Context) -> Any:
    return context.request.user.tags or MISSING


def _hour(context: Context) -> int:
    return int(context.now // 3600) % 24


def _minute(context: Context) -> int:
    return int(context.now // 60) % 60


def _weekday(context: Context) -> str:
    # Day 0 of Unix time was a Thursday.
    return _WEEKDAYS[(int(context.now // 86400) + 3) % 7]


def _date(context: Context) -> str:
    return datetime.fromtimestamp(context.now, UTC).date().isoformat()


def _month(context: Context) -> int:
    return datetime.fromtimestamp(context.now, UTC).month


_OPTIONAL = (
    "model",
    "user.id",
    "user.tenant",
    "user.tier",
    "api_key",
    "session",
    "max_tokens",
    "max_cost_per_token",
    "region",
)
_ALWAYS = (
    "operation",
    "path",
    "stream",
    "prompt.chars",
    "prompt.tokens",
    "prompt.messages",
    "prompt.text",
    "prompt.last",
    "prompt.system",
    "prompt.has_code",
    "prompt.has_images",
    "prompt.has_tools",
    "prompt.language",
    "prompt.keywords",
)
_FIXED: Mapping[str, Accessor] = {
    **{name: _optional(f"request.{name}") for name in _OPTIONAL},
    **{name: attrgetter(f"request.{name}") for name in _ALWAYS},
    "user.tags": _tags,
    "time.hour": _hour,
    "time.minute": _minute,
    "time.weekday": _weekday,
    "time.date": _date,
    "time.month": _month,
}


def _flag(name: str, path: str, flags: Mapping[str, Predicate]) -> Accessor:
    known = flags.get(name)
    if known is not None:
        return known
    legal = f"legal: {' '.join(sorted(flags))}" if flags else "no flag can be read here"
    raise _fault(path, f'unknown flag "{name}"; {legal}')


def _header(name: str, path: str) -> Accessor:
    lower = name.lower()
    # Names travel to Envoy inside an expression: another character would spoil its whole filter.
    if not _HEADER_NAME.fullmatch(lower):
        raise _fault(path, f'"{name}" is not a header name; legal: letters digits . _ -')

    def accessor(context: Context) -> Any:
        return context.request.headers.get(lower, MISSING)

    return accessor


def _steps(text: str, path: str) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    for part in text.split("."):
        step = _STEP.fullmatch(part)
        if step is None:
            raise _fault(path, f'"{text}" is not a path such as messages[0].role')
        steps.append(step[1])
        steps.extend(int(index) for index in _INDEX.findall(step[2]))
    return tuple(steps)


def _body(text: str, path: str) -> Accessor:
    return _value(_steps(text, path))


def _value(steps: tuple[str | int, ...]) -> Accessor:
    return lambda context: context.request.value(steps)


def _first(*places: tuple[str | int, ...]) -> Accessor:
    """Read the first of several places in the body that has a value."""

    def accessor(context: Context) -> Any:
        for steps in places:
            value = context.request.value(steps)
            if value is not MISSING:
                return value
        return MISSING

    return accessor


def _metadata(key: str, path: str) -> Accessor:
    """Read a flat key of ``metadata`` (dots are legal in one), else the path that it spells."""
    if "." not in key and "[" not in key:
        return _value(("metadata", key))
    return _first(("metadata", key), ("metadata", *_steps(key, path)))


def _guard(name: str) -> Accessor:
    """Return true when ``extra.guards`` asks for the guard, as a text or as {id, parameters}."""

    def accessor(context: Context) -> Any:
        guards = context.request.value(("extra", "guards"))
        for guard in guards if isinstance(guards, list) else ():
            if name == (guard.get("id") if isinstance(guard, dict) else guard):
                return True
        return MISSING

    return accessor


def _extra(text: str, path: str) -> Accessor:
    group, _, name = text.partition(".")
    if group not in ("user", "variables", "guards") or not name:
        raise _unknown(f"extra.{text}", path)
    if group == "guards":
        return _guard(name)
    if group == "user" and name == "tier":
        tiers = tuple(("extra", "user", spelling, 0) for spelling in _TIERS)
        return _first(("extra", "user", "tier"), *tiers)
    if group == "user" and name in _USER_NAMES:
        return _first(*(("extra", "user", spelling) for spelling in _USER_NAMES[name]))
    return _value(("extra", group, *_steps(name, path)))


_FAMILIES: Mapping[str, Callable[[str, str], Accessor]] = {
    "headers": _header,
    "body": _body,
    "metadata": _metadata,
    "extra": _extra,
    "metrics": compile_metric,
}

LEGAL = " ".join(
    (
        *_FIXED,
        "headers.<name>",
        "body.<path>",
        "metadata.<key>",
        "extra.user.<name>",
        "extra.variables.<name>",
        "extra.guards.<id>",
        "flags.<name>",
        "metrics.<backend>.<metric>",
    )
)
