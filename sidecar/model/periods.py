"""Calendar periods: the minute, hour, day or month that a moment is in, by a time zone's clock."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

Per = Literal["minute", "hour", "day", "month"]

_SECONDS = {"minute": 60, "hour": 3600}


class Period(NamedTuple):
    """Unix times in seconds, half-open."""

    start: int
    end: int


def period_at(per: Per, now: float, zone: ZoneInfo) -> Period:
    """Return the period around ``now``.

    A day is from midnight to midnight, 23 or 25 hours when clocks change; where midnight is
    skipped it begins with the first moment there is. The hour that comes twice is two hours.
    """
    seconds = _SECONDS.get(per)
    local = datetime.fromtimestamp(now, zone)
    if seconds is not None:
        offset = local.utcoffset()
        ahead = int(offset.total_seconds()) if offset is not None else 0
        start = int(now) - (int(now) + ahead) % seconds
        return Period(start, start + seconds)
    if per == "day":
        today = local.date()
        return Period(_midnight(today, zone), _midnight(today + timedelta(days=1), zone))
    following = date(local.year + local.month // 12, local.month % 12 + 1, 1)
    return Period(_midnight(date(local.year, local.month, 1), zone), _midnight(following, zone))


def following_periods(per: Per, zone: ZoneInfo) -> Callable[[float], Period]:
    """Return what finds periods, quickly when one moment is in the same as the one before."""
    last = Period(0, 0)

    def find(now: float) -> Period:
        nonlocal last
        known = last  # one read: another thread may replace it
        if not known.start <= now < known.end:
            known = last = period_at(per, now, zone)
        return known

    return find


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
