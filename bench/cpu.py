"""CPU time and memory of processes, read from Linux's /proc."""

import os
from pathlib import Path

PROC = Path("/proc")


class NotMeasurable(OSError):
    """There is no Linux /proc here, or no such process."""


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds (user and system) that a process and its descendants have used.

    Children that ended and were waited for count, so that the sum never falls while ``pid``
    lives. Resolution: one clock tick (10 ms). Raises NotMeasurable.
    """
    ticks = sum(sum(int(field) for field in _stat(each)[11:15]) for each in tree(pid))
    return ticks / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    """Return the resident memory of one process, shared pages included. Raises NotMeasurable."""
    return int(_read(PROC / str(pid) / "statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tree(pid: int) -> list[int]:
    """Return ``pid`` and its living descendants. Raises NotMeasurable."""
    _stat(pid)
    parents = {}
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                parents[int(folder.name)] = int(_stat(int(folder.name))[1])
            except NotMeasurable:  # it ended since the folder was listed
                continue
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on: the name may hold any character."""
    return _read(PROC / str(pid) / "stat").rpartition(")")[2].split()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError) as error:
        reason = "no such process" if (PROC / "self").exists() else "CPU is measured on Linux only"
        raise NotMeasurable(f"cannot read {path}: {reason}") from error
