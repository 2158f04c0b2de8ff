"""The picture of a report: every metric's intervals, per arm and against the control."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sidecar.errors import PointsmanError
from sidecar.report.report import Figure, Report
from sidecar.report.words import value

FORMATS = (".svg", ".png")
_ARMS = ("#4b5563", "#1b6ca8", "#7c5cbf", "#0f8a7e", "#a15c00")
_VERDICTS = {"better": "#15803d", "worse": "#c2352b", "unclear": "#6b7280"}
_WARNING = "#c2352b"
_ROW_INCHES, _TITLE_INCHES = 0.27, 0.62
_STYLE = {
    "svg.hashsalt": "pointsman",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.labelsize": 8,
    "figure.facecolor": "white",
}


class NoPictures(PointsmanError):
    """The library that draws is not installed; the message says how to get it."""

    code = "no_pictures"


def draw(report: Report, path: Path) -> None:
    """Write the picture as SVG or PNG, by the ending of ``path``. Raises NoPictures, OSError."""
    mpl, figures = _library()
    with mpl.rc_context(_STYLE):
        figure = _figure(report, figures)
        # Without a date the same report gives the same file.
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, dpi=150, metadata=metadata)


def _library() -> tuple[Any, Any]:
    try:
        import matplotlib as mpl  # noqa: PLC0415 - slow, and most reports are read as text
        from matplotlib import figure  # noqa: PLC0415
    except ImportError:
        raise NoPictures(
            "pictures need matplotlib, which is not installed; the extra `reports` has it"
        ) from None
    return mpl, figure


def _figure(report: Report, figures: Any) -> Any:
    names = [name for name in report.metrics if _known(report, name)]
    rows = {name: [*_rows(report, name)] for name in names}
    heights = [_TITLE_INCHES + _ROW_INCHES * len(rows[name]) for name in names] or [1.0]
    figure = figures.Figure(figsize=(10, sum(heights) + 0.9), layout="constrained")
    figure.get_layout_engine().set(hspace=0.04, wspace=0.03)
    figure.suptitle(_title(report), color=_WARNING if report.srm.flag else "black", fontsize=10)
    if not names:
        figure.text(0.5, 0.4, "No values yet.", ha="center")
        return figure
    grid = figure.subplots(len(names), 2, squeeze=False, height_ratios=heights)
    for (left, right), name in zip(grid, names, strict=True):
        _draw_arms(left, report, name, rows[name])
        _draw_between(right, report, name)
    return figure


def _known(report: Report, name: str) -> bool:
    return any(arm.metrics[name].estimate is not None for arm in report.arms.values())


def _title(report: Report) -> str:
    requests = sum(arm.assigned for arm in report.arms.values())
    first = f"{report.experiment}, version {report.version}: {requests:,} requests, {report.at}"
    if report.srm.flag:
        return f"{first}\nSAMPLE RATIO MISMATCH (p = {report.srm.p_value:.2g}): do not trust this"
    return f"{first}\nrequests are split as the shares say (p = {report.srm.p_value:.2g})"


def _rows(report: Report, name: str) -> Iterable[tuple[str, Figure, str, bool]]:
    """Yield label, figure, colour, and whether it is as served, which is another thing."""
    for place, (arm, found) in enumerate(report.arms.items()):
        color = _ARMS[place % len(_ARMS)]
        yield arm, found.metrics[name], color, False
        if found.as_served[name] != found.metrics[name]:
            yield f"{arm}, as served", found.as_served[name], color, True


def _draw_arms(
    axis: Any, report: Report, name: str, rows: Iterable[tuple[str, Figure, str, bool]]
) -> None:
    labels = []
    for place, (label, figure, color, served) in enumerate(rows):
        labels.append(f"{label}  (n = {figure.n:,})")
        _draw(axis, place, figure, report.metrics[name].unit, color, faint=served)
    _finish(axis, labels, name, f"{100 * report.level:g} % intervals")
    _label_scale(axis, report.metrics[name].unit)


def _draw_between(axis: Any, report: Report, name: str) -> None:
    metric, labels = report.metrics[name], []
    axis.axvline(0, color="#9ca3af", linewidth=0.8)
    for place, (arm, found) in enumerate(report.against_control.items()):
        between = found[name]
        verdict = f"\n{between.verdict}" if metric.direction else ""
        labels.append(f"{arm} - {report.control}{verdict}")
        color = _VERDICTS[between.verdict]
        _draw(axis, place, between.difference, metric.unit, color, signed=True)
    better = {"increase": "right is better", "decrease": "left is better", None: ""}
    level = f"difference, {100 * report.level_between:.4g} % interval"
    _finish(axis, labels, "", f"{level}, {better[metric.direction]}".rstrip(", "))
    _label_scale(axis, metric.unit, signed=True)


def _draw(  # noqa: PLR0913 - where, what and how
    axis: Any,
    place: int,
    figure: Figure,
    unit: str,
    color: str,
    *,
    faint: bool = False,
    signed: bool = False,
) -> None:
    if figure.estimate is None:
        axis.text(0.02, place, figure.note, transform=axis.get_yaxis_transform(), va="center",
                  style="italic", color="#6b7280")  # fmt: skip
        return
    strength = 0.45 if faint else 1.0
    if not figure.note:
        ends = [figure.estimate if end is None else end for end in (figure.low, figure.high)]
        axis.plot(ends, [place, place], color=color, linewidth=2.2, alpha=strength,
                  solid_capstyle="butt", marker="|", markersize=7)  # fmt: skip
    axis.plot(figure.estimate, place, marker="o", markersize=5, color=color, alpha=strength)
    axis.annotate(value(figure.estimate, unit, signed=signed), (figure.estimate, place),
                  (0, 5), textcoords="offset points", ha="center", va="bottom", fontsize=7.5,
                  color=color, alpha=0.7 if faint else 1.0)  # fmt: skip


def _finish(axis: Any, labels: list[str], name: str, title: str) -> None:
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylim(len(labels) - 0.4, -0.75)
    axis.tick_params(axis="y", length=0)
    axis.margins(x=0.12)
    axis.grid(axis="x", color="#e5e7eb", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.set_title(title, loc="right", color="#6b7280", fontsize=8)
    axis.set_title(name, loc="left", fontweight="bold")


def _label_scale(axis: Any, unit: str, *, signed: bool = False) -> None:
    names: Mapping[str, str] = {"share": "%", "US$": "US$", "": ""}
    scale = 100 if unit == "share" else 1
    axis.xaxis.set_major_formatter(lambda number, _: _tick(scale * number))
    axis.locator_params(axis="x", nbins=6)
    label = "percentage points" if unit == "share" and signed else names.get(unit, unit)
    axis.set_xlabel(label, fontsize=8, labelpad=1)


def _tick(number: float) -> str:
    """Return a number on a scale, never in powers of ten; rounding leaves crumbs beside 0."""
    return f"{round(number, 9) + 0.0:,.9f}".rstrip("0").rstrip(".")
