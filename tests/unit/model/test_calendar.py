"""Calendars against a slow and simple reading of the same fields, and days on which clocks jump."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.errors import ConfigError
from sidecar.model import CalendarFields, compile_calendar, load_zone, local_time

NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")


def calendar(**fields):
    return compile_calendar(msgspec.convert(fields, CalendarFields), "c")


def unix(text, zone="Europe/Berlin", fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def faults(**fields):
    with pytest.raises(ConfigError) as raised:
        calendar(**fields)
    return [str(fault) for fault in raised.value.faults]


BERLIN = {"timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("fields", "on", "off"),
    [
        ({}, ["2026-11-21T08:00"], []),
        (
            {"weekdays": "mon-fri", "hours": "09:00-17:00"},
            ["2026-11-20T09:00", "2026-11-20T16:59:59"],
            ["2026-11-20T08:59:59", "2026-11-20T17:00", "2026-11-21T12:00"],
        ),
        (
            {"weekdays": ["sat", "sun-mon"]},
            ["2026-11-21T00:00", "2026-11-22T12:00", "2026-11-23T23:59"],
            ["2026-11-20T23:59:59", "2026-11-24T00:00"],
        ),
        ({"weekdays": "fri-mon"}, ["2026-11-20T00:00", "2026-11-23T23:59"], ["2026-11-24T00:00"]),
        (
            {"weekdays": "fri", "hours": "22:00-06:00"},
            ["2026-11-20T22:00", "2026-11-21T05:59:59"],
            ["2026-11-20T05:00", "2026-11-21T06:00", "2026-11-21T23:00"],
        ),
        (
            {"dates": "2026-12-24", "hours": "22:00-06:00"},
            ["2026-12-24T22:00", "2026-12-25T05:59"],
            ["2026-12-24T05:00", "2026-12-25T22:00"],
        ),
        (
            {"hours": ["09:00-12:00", "13:00-24:00"]},
            ["2026-11-20T11:59", "2026-11-20T23:59:59"],
            ["2026-11-20T12:00", "2026-11-20T00:00"],
        ),
        ({"hours": "00:00-24:00"}, ["2026-11-20T00:00", "2026-11-20T23:59:59"], []),
        ({"hours": "18:00-00:00"}, ["2026-11-20T23:59:59"], ["2026-11-21T00:00"]),
        (
            {"dates": ["2026-12-24/2027-01-01", "2026-12-31/2027-01-02", "2026-05-01"]},
            ["2026-12-24T00:00", "2027-01-02T23:59:59", "2026-05-01T12:00"],
            ["2026-12-23T23:59:59", "2027-01-03T00:00", "2026-05-02T00:00", "2026-04-30T23:59"],
        ),
    ],
    ids=str,
)
def test_a_calendar_is_on_by_the_clock_on_the_wall(fields, on, off):
    made = calendar(**BERLIN, **fields)

    assert [text for text in on if not made.covers(unix(text))] == []
    assert [text for text in off if made.covers(unix(text))] == []


def test_an_hour_that_the_clock_shows_twice_counts_twice():
    made = calendar(**BERLIN, hours="02:00-03:00")
    first, second = (unix("2026-10-25T02:30", fold=fold) for fold in (0, 1))

    assert second - first == 3600
    assert made.covers(first)
    assert made.covers(second)
    assert not made.covers(second + 1800)


def test_an_hour_that_the_clock_skips_does_not_come():
    made = calendar(**BERLIN, hours="02:00-03:00")
    jump = unix("2026-03-29T03:00")

    assert not any(made.covers(jump + minute * 60) for minute in range(-60, 61))


def test_a_night_in_which_the_clock_jumps_ends_by_the_clock():
    made = calendar(**BERLIN, weekdays="sat", hours="22:00-06:00")
    long_night = [unix(f"2026-10-2{text}") for text in ("4T22:00", "5T06:00")]
    short_night = [unix(f"2026-03-2{text}") for text in ("8T22:00", "9T06:00")]

    for (start, end), hours in ((long_night, 9), (short_night, 7)):
        assert end - start == hours * 3600
        assert (made.covers(start - 1), made.covers(start)) == (False, True)
        assert (made.covers(end - 1), made.covers(end)) == (True, False)


def test_without_a_time_zone_it_is_utc_or_what_is_given():
    at = unix("2026-11-20T09:30", "UTC")
    fields = CalendarFields(hours="09:00-10:00")

    assert compile_calendar(fields, "c").covers(at)
    assert not compile_calendar(fields, "c", "Europe/Berlin").covers(at)


@st.composite
def documents(draw):
    """Fields as documents have them, around a few weeks in which clocks jump."""
    clock = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
    hours = st.tuples(clock, clock | st.just("24:00")).filter(lambda pair: pair[0] != pair[1])
    days = st.dates(date(2026, 3, 20), date(2026, 4, 10))
    ranges = st.lists(days, min_size=1, max_size=2).map(
        lambda found: "/".join(map(str, sorted(found)))
    )
    weekdays = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map("-".join)
    optional = {
        "weekdays": st.lists(weekdays, min_size=1, max_size=3),
        "hours": st.lists(hours.map("-".join), min_size=1, max_size=3),
        "dates": st.lists(ranges, min_size=1, max_size=4),
    }
    zone = {"timezone": st.sampled_from(ZONES)}
    return draw(st.fixed_dictionaries(zone, optional=optional))


def slow(fields, now):
    """Look at each day and each range of hours that could reach ``now``, one by one."""
    wall = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(fields["timezone"]))
    wall = wall.replace(tzinfo=None)
    for day in (wall.date(), wall.date() - timedelta(days=1)):
        if not _on_day(fields, day):
            continue
        for hours in fields.get("hours", ["00:00-24:00"]):
            start, end = (_moment(day, text) for text in hours.split("-"))
            if end <= start:
                end += timedelta(days=1)
            if start <= wall < end:
                return True
    return False


def _moment(day, text):
    midnight = datetime.combine(day, time())
    return midnight + timedelta(hours=int(text[:2]), minutes=int(text[3:]))


def _on_day(fields, day):
    weekdays = fields.get("weekdays", NAMES)
    dates = [text.split("/") for text in fields.get("dates", ["0001-01-01/9999-12-31"])]
    return any(_names(day, text) for text in weekdays) and any(
        date.fromisoformat(found[0]) <= day <= date.fromisoformat(found[-1]) for found in dates
    )


def _names(day, text):
    """Walk from the first weekday to the last, around the week if need be."""
    first, last = text.split("-")[0], text.split("-")[-1]
    name = first
    while name != last:
        if NAMES[day.weekday()] == name:
            return True
        name = NAMES[(NAMES.index(name) + 1) % 7]
    return NAMES[day.weekday()] == last


MOMENTS = st.integers(int(unix("2026-03-19T00:00")), int(unix("2026-04-12T00:00")))


@given(documents(), st.lists(MOMENTS, min_size=20, max_size=20))
@example(
    {"timezone": "Europe/Berlin", "weekdays": ["sat"], "hours": ["22:00-02:30"]},
    [int(unix("2026-03-29T00:00")) + minute * 60 for minute in range(0, 300, 7)],
)
@example(
    {"timezone": "America/New_York", "dates": ["2026-03-08"], "hours": ["01:00-04:00"]},
    [int(unix("2026-03-08T00:00", "America/New_York")) + m * 60 for m in range(0, 300, 7)],
)
def test_a_calendar_is_on_exactly_when_a_slow_reading_says_so(fields, moments):
    made = calendar(**fields)

    assert [made.covers(now) for now in moments] == [slow(fields, now) for now in moments]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"timezone": "Europe/Berln"},
            (
                'c.timezone: unknown time zone "Europe/Berln"; did you mean "Europe/Berlin"? '
                "legal: names of the IANA database such as Europe/Berlin, UTC"
            ),
        ),
        (
            {"weekdays": ["mon", "mo", "mon-"]},
            (
                'c.weekdays[1]: "mo" is no weekday; legal: mon, tue, wed, thu, fri, sat, sun, '
                "mon-fri, fri-mon"
            ),
        ),
        (
            {"hours": "9:00-17:00"},
            (
                'c.hours: "9:00-17:00" is no range of hours; legal: 09:00-17:00, 22:00-06:00, '
                "18:00-24:00"
            ),
        ),
        (
            {"hours": ["09:00-09:00"]},
            (
                'c.hours[0]: "09:00-09:00" begins and ends at the same time; '
                "a whole day is 00:00-24:00"
            ),
        ),
        (
            {"dates": ["2026-02-30"]},
            (
                'c.dates[0]: "2026-02-30" is no date and no range of dates; legal: 2026-12-24, '
                "2026-12-24/2027-01-01"
            ),
        ),
        (
            {"dates": "2027-01-01/2026-12-24"},
            'c.dates: "2027-01-01/2026-12-24" ends before it begins',
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_with_its_path(fields, expected):
    assert faults(**fields)[0] == expected


@pytest.mark.parametrize(
    "hours",
    ["24:00-06:00", "09:00-24:01", "09:60-10:00", "25:00-26:00", "09:00", "", "09:00-17:00\n"],
)
def test_hours_that_no_clock_shows_are_refused(hours):
    assert faults(hours=hours)[0].startswith("c.hours: ")


@pytest.mark.parametrize("text", ["20261224", "2026-W52-4", "2026-12-24/", "/", "tomorrow"])
def test_other_ways_to_write_a_date_are_refused(text):
    assert faults(dates=text)[0].startswith("c.dates: ")


def test_every_fault_is_told():
    found = faults(timezone="Mars", weekdays="x", hours=["x", "y"], dates=["z"])

    paths = [fault.split(": ")[0] for fault in found]
    assert paths == ["c.timezone", "c.weekdays", "c.hours[0]", "c.hours[1]", "c.dates[0]"]


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../../etc/passwd", "Europe", "localtime", "a\0b", "x" * 9999, "utc"],
)
def test_only_names_of_the_iana_database_are_zones(name):
    with pytest.raises(ConfigError) as raised:
        load_zone(name, "c")

    assert len(str(raised.value)) < 300


def test_a_moment_is_shown_in_its_zone():
    shown = local_time(unix("2026-11-21T08:05"), ZoneInfo("Europe/Berlin"))

    assert shown == "Sat 2026-11-21 08:05 Europe/Berlin"
