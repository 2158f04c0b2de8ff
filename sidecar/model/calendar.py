"""Calendars: when something is on, by the clock on the wall of a time zone."""

import difflib
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from sidecar.errors import ConfigError, Fault

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 1440
"""Minutes."""

_EVERY_DAY = frozenset(range(7))
_ALL_DAY = ((0, DAY, 0),)
_HOURS = re.compile(r"(?P<start>[0-9]{2}:[0-9]{2})-(?P<end>[0-9]{2}:[0-9]{2})\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_LONGEST_NAME = 64

_Names = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=7)]
_Spans = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=24)]
_Dates = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=1000)]
_Part = TypeVar("_Part")


class CalendarFields(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar as documents write it; each field that is there must hold.

    ``timezone``: IANA. ``weekdays``: `mon`, `mon-fri`. ``hours``: `09:00-17:00`, `22:00-06:00`.
    ``dates``: `2026-12-24`, `2026-12-24/2027-01-01`, the last day included.
    """

    timezone: str | None = None
    weekdays: str | _Names | None = None
    hours: str | _Spans | None = None
    dates: str | _Dates | None = None


class Calendar(msgspec.Struct, frozen=True):
    """When something is on. Hours past midnight belong to the day on which they begin."""

    zone: ZoneInfo
    weekdays: frozenset[int] = _EVERY_DAY
    """Monday is 0."""
    hours: tuple[tuple[int, int, int], ...] = _ALL_DAY
    """Half-open spans of minutes of a day, and how many days before it they began (0 or 1)."""
    first_days: tuple[int, ...] | None = None
    """Ordinals of days, ascending: the first ones of ranges that do not touch each other."""
    last_days: tuple[int, ...] = ()

    def covers(self, now: float) -> bool:
        """Tell whether it is on at ``now`` (Unix seconds)."""
        local = datetime.fromtimestamp(now, self.zone)
        minute = local.hour * 60 + local.minute
        for start, end, ago in self.hours:
            if start <= minute < end and self._has(local.toordinal() - ago):
                return True
        return False

    def _has(self, day: int) -> bool:
        if (day + 6) % 7 not in self.weekdays:
            return False
        if self.first_days is None:
            return True
        place = bisect_right(self.first_days, day) - 1
        return place >= 0 and day <= self.last_days[place]


def local_time(now: float, zone: ZoneInfo) -> str:
    """Return the time in ``zone`` for people: `Sat 2026-11-21 08:05 Europe/Berlin`."""
    local = datetime.fromtimestamp(now, zone)
    return f"{WEEKDAYS[local.weekday()].title()} {local:%Y-%m-%d %H:%M} {zone.key}"


def load_zone(name: str, path: str) -> ZoneInfo:
    """Return the time zone called ``name``; raises ConfigError, with the nearest name."""
    # Only known names may reach ZoneInfo: it takes them for parts of a file's path.
    if name in _zone_names():
        return _zone(name)
    near = difflib.get_close_matches(name[:_LONGEST_NAME], _zone_names(), n=1)
    guess = f'did you mean "{near[0]}"? ' if near else ""
    legal = "legal: names of the IANA database such as Europe/Berlin, UTC"
    raise ConfigError([Fault(path, f'unknown time zone "{name[:_LONGEST_NAME]}"; {guess}{legal}')])


def compile_calendar(fields: CalendarFields, path: str, timezone: str = "UTC") -> Calendar:
    """Compile a calendar; ``timezone`` is for one that names none, ``path`` where it stands.

    Raises ConfigError with every fault.
    """
    faults: list[Fault] = []
    zone = _zone("UTC")
    try:
        named = timezone if fields.timezone is None else fields.timezone
        zone = load_zone(named, f"{path}.timezone")
    except ConfigError as error:
        faults += error.faults
    weekdays = [*_parts(fields.weekdays, _weekdays, f"{path}.weekdays", faults)]
    hours = [*_parts(fields.hours, _hours, f"{path}.hours", faults)]
    ranges = _merged(_parts(fields.dates, _dates, f"{path}.dates", faults))
    if faults:
        raise ConfigError(faults)
    return Calendar(
        zone=zone,
        weekdays=_EVERY_DAY if fields.weekdays is None else frozenset().union(*weekdays),
        hours=_ALL_DAY if fields.hours is None else tuple(sorted({s for h in hours for s in h})),
        first_days=None if fields.dates is None else tuple(first for first, _ in ranges),
        last_days=tuple(last for _, last in ranges),
    )


def _parts(
    given: str | Sequence[str] | None,
    read: Callable[[str], _Part],
    path: str,
    faults: list[Fault],
) -> Iterator[_Part]:
    """Yield what ``read`` makes of one text, or of each in a list; what it raises is a fault."""
    alone = isinstance(given, str)
    for place, text in enumerate([given] if isinstance(given, str) else given or ()):
        try:
            yield read(text)
        except ValueError as error:
            where = path if alone else f"{path}[{place}]"
            faults.append(Fault(where, f'"{text[:_LONGEST_NAME]}" {error}'))


def _weekdays(text: str) -> frozenset[int]:
    first, dash, last = text.partition("-")
    if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
        raise ValueError(f"is no weekday; legal: {', '.join(WEEKDAYS)}, mon-fri, fri-mon")
    start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
    return frozenset((start + step) % 7 for step in range((end - start) % 7 + 1))


def _hours(text: str) -> tuple[tuple[int, int, int], ...]:
    """Return the span, in two parts when it goes past midnight."""
    written = _HOURS.match(text)
    start, end = (_minutes(written[1]), _minutes(written[2])) if written else (DAY, DAY)
    if start >= DAY or end > DAY:
        raise ValueError("is no range of hours; legal: 09:00-17:00, 22:00-06:00, 18:00-24:00")
    if start == end:
        raise ValueError("begins and ends at the same time; a whole day is 00:00-24:00")
    if start < end:
        return ((start, end, 0),)
    return ((start, DAY, 0), (0, end, 1))


def _minutes(text: str) -> int:
    hour, minute = int(text[:2]), int(text[3:])
    return hour * 60 + minute if minute < 60 else 2 * DAY


def _dates(text: str) -> tuple[int, int]:
    first, slash, last = text.partition("/")
    try:
        start, end = _day(first), _day(last if slash else first)
    except ValueError:
        raise ValueError(
            "is no date and no range of dates; legal: 2026-12-24, 2026-12-24/2027-01-01"
        ) from None
    if end < start:
        raise ValueError("ends before it begins")
    return start, end


def _day(text: str) -> int:
    if not _DATE.match(text):
        raise ValueError(text)
    return date.fromisoformat(text).toordinal()


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the same days as ranges that neither overlap nor touch, ascending."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


@cache
def _zone_names() -> frozenset[str]:
    """Return the names of the IANA database, without those that depend on the machine."""
    return frozenset((resources.files("tzdata") / "zones").read_text("utf-8").split())


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
