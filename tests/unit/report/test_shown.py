"""Reports as people see them: in a terminal, and as a picture."""

import io
import sys

import pytest
from rich.console import Console

from sidecar.cli_report import rendered
from sidecar.report import Figure
from sidecar.report.picture import NoPictures, draw
from sidecar.report.words import plain, span, value
from tests.unit.report.learned import arm, report

CONTROL = arm("control", 4000, errors=40, thumbs=(350, 500))
BROKEN = arm("canary", 1000, errors=60, ttft=160, thumbs=(60, 125))


def text(found, width=120):
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(rendered(found, width))
    return console.file.getvalue()


def lines(found, name, width=120):
    """Return the lines of one metric's table."""
    whole = text(found, width).splitlines()
    start = next(n for n, line in enumerate(whole) if line.startswith(f"{name}  "))
    return whole[start : whole.index("", start)]


def test_the_split_stands_before_any_result():
    shown = text(report(CONTROL, BROKEN))

    assert shown.index("✓ sample ratio") < shown.index("error_rate")
    assert "mismatch" not in shown.lower()


def test_a_mismatch_is_a_warning_before_any_result():
    shown = text(report(arm("control", 3000), arm("canary", 2000)))

    assert shown.index("SAMPLE RATIO MISMATCH (p = ") < shown.index("error_rate")
    assert "nothing below can be trusted" in " ".join(shown.split())


def test_each_arm_has_its_numbers_and_its_interval_drawn():
    title, control, canary, between, meaning = lines(report(CONTROL, BROKEN), "error_rate")

    assert title == "error_rate  % of requests, lower is better"
    assert control.split()[:4] == ["control", "4,000", "1.00", "%"]
    assert canary.split()[:4] == ["canary", "1,000", "6.00", "%"]
    assert control.index("●") < canary.index("●")
    assert control.index("┤") < canary.index("├")
    assert between.split()[:4] == ["canary", "-", "control", "5,000"]
    assert "+5.00 points" in between
    assert between.index("┊") < between.index("├")
    assert meaning.startswith("  canary: worse than control; 6.00 times control's (")
    assert meaning.endswith("probability that canary is better: < 0.1 %")


def test_as_served_has_a_line_where_it_is_another_thing():
    rescued = arm("canary", 1000, errors=10, rescued=200)

    found = [line.split("  ")[1] for line in lines(report(CONTROL, rescued), "error_rate")]

    assert "canary as served" in found
    assert "control as served" not in found


def test_too_little_is_said_in_words():
    shown = lines(report(arm("control", 40), arm("canary", 10)), "ttft_ms")

    assert all("too few values for an interval" in line for line in shown[1:4])


def test_nobody_assigned_is_said_in_words():
    shown = text(report())

    assert "• No request has been assigned yet." in shown
    assert "nan" not in shown.lower()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_line_of_a_table_is_cut(width):
    shown = text(report(CONTROL, BROKEN), width)

    assert "…" not in shown.replace("  … ", "")


def test_the_rollout_shows_its_step_and_its_guards():
    shown = text(report(CONTROL, BROKEN))

    assert "rollout  5 % → [20 %] → 50 % → 100 %" in shown
    assert "roll back: error_rate: difference" in shown
    assert "✗ error_rate harm: " in shown


@pytest.mark.parametrize(
    ("number", "unit", "expected"),
    [
        (0.0121, "share", "1.21 %"),
        (205.8, "ms", "206 ms"),
        (12345.6, "ms", "12,346 ms"),
        (0.000208, "US$", "$0.000208"),
        (0.000026598, "US$", "$0.0000266"),
        (-0.5, "US$", "-$0.500"),
        (None, "ms", "?"),
        (3.0, "", "3.00"),
        (0.0, "share", "0.00 %"),
    ],
)
def test_values_have_their_unit_and_three_digits(number, unit, expected):
    assert value(number, unit) == expected


def test_a_difference_of_shares_is_in_points():
    assert value(0.0238, "share", signed=True) == "+2.38 points"
    assert span(Figure(9, 0.02, 0.01, 0.03), "share", signed=True) == "+1.00 to +3.00 points"
    assert plain(0) == "0.00"


@pytest.mark.parametrize("name", ["a.svg", "a.png"])
def test_the_picture_is_drawn(tmp_path, name):
    pytest.importorskip("matplotlib")

    draw(report(CONTROL, BROKEN), tmp_path / name)

    written = (tmp_path / name).read_bytes()
    assert written.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")
    if name.endswith("svg"):
        assert b"percentage points" in written
        assert b"+5.00 points" in written


def test_the_same_report_is_the_same_picture(tmp_path):
    pytest.importorskip("matplotlib")

    for name in ("a.svg", "b.svg"):
        draw(report(CONTROL, BROKEN), tmp_path / name)

    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_nothing_is_drawn_of_nothing(tmp_path):
    pytest.importorskip("matplotlib")

    draw(report(), tmp_path / "a.svg")

    assert b"No values yet." in (tmp_path / "a.svg").read_bytes()


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(NoPictures, match="the extra `reports`"):
        draw(report(), tmp_path / "a.svg")
