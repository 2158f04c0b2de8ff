"""`Retry-After`, as it is written by others."""

import pytest

from sidecar.telemetry.outcome import read_attempt
from sidecar.telemetry.retry_after import asked_to_wait
from tests.unit.telemetry.entries import entry

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "30", 30.0),
        (503, " 7 ", 7.0),
        (429, "0", 0.0),
        (429, "Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        (429, "Friday, 15-Jan-27 08:01:00 GMT", 60.0),
        (429, "Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        (429, "", 0.0),
        (429, "soon", 0.0),
        (429, "-5", 0.0),
        (429, "1.5", 0.0),
        (429, "9" * 400, 0.0),
        (429, "\u0663\u0660", 0.0),
        (429, "Fri, 99 Jan 2027 08:01:00 GMT", 0.0),
        (429, "Fri, 15 Jan 99999999 08:01:00 GMT", 0.0),
        (500, "30", 0.0),
        (200, "30", 0.0),
    ],
)
def test_seconds_or_a_date_of_a_429_or_503(status, header, seconds):
    assert asked_to_wait(status, header, NOW) == seconds


def test_a_failed_attempt_has_what_was_asked_for_from_its_end_on():
    made = entry(
        cluster="small",
        status=429,
        started_us=int((NOW - 2) * 1e6),
        duration_us=2_000_000,
        answered={"retry-after": "Fri, 15 Jan 2027 08:01:00 GMT"},
    )

    assert read_attempt(made).wait_s == pytest.approx(60.0)
    assert read_attempt(entry(cluster="small", status=429)).wait_s == 0
