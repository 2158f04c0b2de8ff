"""A report of an experiment for people to read in a terminal, with its intervals drawn."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sidecar.report import ArmReport, Figure, MetricReport, Report, RolloutReport
from sidecar.report.words import meaning, span, title, value

_NARROWEST = 8
"""Columns below which a picture shows nothing."""
_STATES = {"running": "green", "paused": "yellow", "stopped": "red", "draft": "dim"}
_VERDICTS = {"better": "green", "worse": "red", "unclear": "dim"}
_ACTIONS = {"promote": "green", "hold": "yellow", "roll_back": "red"}
_GUARDS = {"safe": ("✓", "green"), "harm": ("✗", "red"), "unclear": ("…", "yellow")}


def rendered(report: Report, width: int) -> RenderableType:
    """Return a report, ready to be printed on a terminal of ``width`` columns."""
    parts: list[RenderableType] = [_headline(report), _split(report), _arms(report)]
    parts += [Text(f"• {note}", "yellow") for note in report.notes]
    if report.rollout is not None:
        parts.append(_rollout(report.rollout))
    if any(arm.assigned for arm in report.arms.values()):
        parts += _metrics(report, width)
        parts.append(_caption(report))
    style = "red" if report.srm.flag else "bold"
    parts.append(Panel(Text(report.recommendation, style), expand=False, title="recommendation"))
    return Group(*parts)


def _headline(report: Report) -> Text:
    requests = sum(arm.assigned for arm in report.arms.values())
    return Text.assemble(
        (report.experiment, "bold"),
        f"  version {report.version}  ",
        (report.state, _STATES[report.state]),
        f"  {requests:,} requests by {report.key}  ",
        (report.at, "dim"),
    )


def _split(report: Report) -> RenderableType:
    p_value = report.srm.p_value
    if not report.srm.flag:
        told = f"requests reached the arms as the shares say (p = {p_value:.2g})"
        return Text.assemble(("✓ ", "green"), "sample ratio: ", told)
    warning = (
        f"SAMPLE RATIO MISMATCH (p = {p_value:.2g}): requests did not reach the arms as the "
        "shares say. Something between assignment and counting is broken, and nothing below can "
        "be trusted."
    )
    return Panel(Text(warning, "bold red"), border_style="red")


def _arms(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("arm")
    for name in ("share", "assigned", "expected", "served by its own backend"):
        table.add_column(name, justify="right")
    for name, arm in report.arms.items():
        table.add_row(Text(name, "bold"), f"{arm.share:g} %", *_counts(arm))
    return table


def _counts(arm: ArmReport) -> tuple[str, str, str]:
    part = f" ({100 * arm.served / arm.assigned:.1f} %)" if arm.assigned else ""
    return f"{arm.assigned:,}", f"{arm.expected:,.0f}", f"{arm.served:,}{part}"


def _rollout(rollout: RolloutReport) -> RenderableType:
    line = Text("rollout  ", "bold")
    for place, share in enumerate(rollout.steps):
        now = place == rollout.step
        line.append(" → " if place else "", "dim")
        line.append(f"[{share:g} %]" if now else f"{share:g} %", "bold cyan" if now else "dim")
    if rollout.step is None:
        line.append(f"  the share is {rollout.share:g} %, which is none of the steps", "yellow")
    action = rollout.action.replace("_", " ")
    lines = [line, Text(f"  {action}: {rollout.reason}", _ACTIONS[rollout.action])]
    for each in rollout.guards:
        mark, style = _GUARDS[each.state]
        guard = Text.assemble((f"  {mark} ", style), (each.metric, "bold"), f" {each.state}: ")
        lines.append(guard.append(each.reason, "dim"))
    return Padding(Group(*lines), (0, 0, 1, 0))


def _caption(report: Report) -> Text:
    return Text(
        f"Intervals hold at all times at once: {_percent(report.level)} of an arm, "
        f"{_percent(report.level_between)} of what lies between two. By assignment: a request "
        "counts for the arm that it was put into, whoever answered it.",
        "dim",
    )


def _percent(level: float) -> str:
    return f"{100 * level:.4g} %"


# ── metrics, and their picture ─────────────────────────────────────────────


def _metrics(report: Report, width: int) -> Iterator[RenderableType]:
    """Yield a heading and a table for each metric; all tables have the same columns."""
    lines = {name: [*_lines(report, name, metric)] for name, metric in report.metrics.items()}
    cells = [line.cells for each in lines.values() for line in each]
    widths = [max(len(text) for text in column) for column in zip(*cells, strict=True)]
    room = width - sum(widths) - 2 * len(widths)
    picture = min(64, room) if room >= _NARROWEST else 0
    for name, metric in report.metrics.items():
        yield Text.assemble((name, "bold cyan"), (f"  {title(metric)}", "dim"))
        yield _table(lines[name], widths, picture)
        yield from _meanings(report, name, metric)
        yield Text()


def _table(lines: Sequence["_Line"], widths: Sequence[int], picture: int) -> Table:
    """Draw the arms on one scale, and what lies between them on another that has 0."""
    table = Table.grid(padding=(0, 2))
    for place, column in enumerate(widths):
        table.add_column(width=column, no_wrap=True, justify="right" if place else "left")
    if picture:
        table.add_column(width=picture, no_wrap=True)
    arms = _Scale([line.figure for line in lines if not line.between], picture)
    between = _Scale([line.figure for line in lines if line.between], picture, zero=True)
    for line in lines:
        texts = [Text(cell, line.style) for cell in line.cells]
        if picture:
            bar = (between if line.between else arms).bar(line.figure)
            texts.append(Text(bar, line.style or "cyan"))
        table.add_row(*texts)
    return table


def _lines(report: Report, name: str, metric: MetricReport) -> Iterator["_Line"]:
    """Yield the arms, as served where that is another thing, and what lies between them."""
    for label, figure, style in _shown(report, name):
        yield _Line.of(label, figure, metric.unit, style)
    for arm, found in report.against_control.items():
        between, label = found[name], f"{arm} - {report.control}"
        style = _VERDICTS[between.verdict]
        yield _Line.of(label, between.difference, metric.unit, style, between=True)


def _meanings(report: Report, name: str, metric: MetricReport) -> Iterator[Text]:
    for arm, found in report.against_control.items():
        between = found[name]
        if metric.direction and not between.difference.note:
            said = meaning(between, report.control, arm)
            yield Text(f"  {arm}: {said}", _VERDICTS[between.verdict])


def _shown(report: Report, name: str) -> Iterator[tuple[str, Figure, str]]:
    for arm, found in report.arms.items():
        yield arm, found.metrics[name], ""
        if found.as_served[name] != found.metrics[name]:
            yield f"{arm} as served", found.as_served[name], "dim"


class _Line(NamedTuple):
    """A line of a metric's table: label, n, estimate and interval as texts."""

    cells: tuple[str, str, str, str]
    figure: Figure
    style: str
    between: bool

    @classmethod
    def of(
        cls, label: str, figure: Figure, unit: str, style: str, *, between: bool = False
    ) -> "_Line":
        known = figure.estimate is not None
        estimate = value(figure.estimate, unit, signed=between) if known else ""
        interval = span(figure, unit, signed=between)
        return cls((f"  {label}", f"{figure.n:,}", estimate, interval), figure, style, between)


class _Scale:
    """A row of characters as a scale on which all ``figures`` have room."""

    def __init__(self, figures: Iterable[Figure], width: int, *, zero: bool = False) -> None:
        known = [
            end
            for figure in figures
            for end in (figure.low, figure.estimate, figure.high)
            if end is not None
        ]
        known += [0.0] if zero else []
        self._low, self._high = min(known, default=0.0), max(known, default=0.0)
        self._width = width
        self._zero = zero

    def bar(self, figure: Figure) -> str:
        """Draw an interval: ``├──●──┤``; an end that is not known is open."""
        if figure.estimate is None:
            return ""
        row = [" "] * self._width
        if not figure.note:
            low, high = self._place(figure.low, 0), self._place(figure.high, self._width - 1)
            row[low : high + 1] = "─" * (high - low + 1)
            row[low] = "├" if figure.low is not None else "◂"
            row[high] = "┤" if figure.high is not None else "▸"
        if self._zero:
            row[self._place(0.0, 0)] = "┊" if row[self._place(0.0, 0)] == " " else "┼"
        row[self._place(figure.estimate, 0)] = "●"
        return "".join(row).rstrip()

    def _place(self, number: float | None, unknown: int) -> int:
        if number is None:
            return unknown
        reach = self._high - self._low
        at = (number - self._low) / reach if reach > 0 else 0.5
        return round(at * (self._width - 1))
