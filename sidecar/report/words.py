"""How values and metrics are written for people, in tables and in pictures."""

import math

from sidecar.report.report import Between, Figure, MetricReport

POINTS = "points"
"""The unit of differences of shares: percentage points."""
_BETTER = {"increase": "higher is better", "decrease": "lower is better", None: ""}


def value(number: float | None, unit: str, *, signed: bool = False) -> str:
    """Return a value with its unit: ``1.21 %``, ``+2.38 points``, ``206 ms``, ``$0.000208``."""
    if number is None:
        return "?"
    if unit == "share":
        return f"{plain(100 * number, signed=signed)} {POINTS if signed else '%'}"
    if unit == "US$":
        sign = "-" if number < 0 else "+" if signed else ""
        return f"{sign}${plain(abs(number))}"
    return f"{plain(number, signed=signed)} {unit}".rstrip()


def plain(number: float, *, signed: bool = False) -> str:
    """Return a number with three digits that tell, never in powers of ten."""
    sign = "+" if signed else ""
    if abs(number) >= 1000:
        return f"{number:{sign},.0f}"
    digits = 2 - math.floor(math.log10(abs(number))) if number else 2
    return f"{number:{sign}.{max(0, digits)}f}"


def span(figure: Figure, unit: str, *, signed: bool = False) -> str:
    """Return an interval, or in words why there is none."""
    if figure.note:
        return figure.note
    low, high = (value(end, unit, signed=signed) for end in (figure.low, figure.high))
    shared = low.rpartition(" ")[2]
    if " " in low and shared == high.rpartition(" ")[2]:
        low = low.rpartition(" ")[0]
    return f"{low} to {high}"


def title(metric: MetricReport) -> str:
    """Return what is to be known of a metric besides its name."""
    parts = ["% of requests" if metric.unit == "share" else metric.unit, _BETTER[metric.direction]]
    if metric.feedback:
        parts = ["feedback", "share" if metric.unit == "share" else metric.unit, parts[1]]
    if metric.kind == "quantile":
        parts.insert(0, "quantile")
    return ", ".join(part for part in parts if part)


def meaning(between: Between, control: str, name: str) -> str:
    """Return in words what lies between an arm and the control."""
    ratio, found = between.ratio, between.verdict
    told = {"better": f"better than {control}", "worse": f"worse than {control}"}
    words = [told.get(found, "no difference can be told yet")]
    if ratio.estimate is not None and not ratio.note:
        ends = (plain(end) if end is not None else "?" for end in (ratio.low, ratio.high))
        words.append(f"{plain(ratio.estimate)} times {control}'s ({' to '.join(ends)})")
    if between.probability_better is not None:
        words.append(f"probability that {name} is better: {chance(between.probability_better)}")
    return "; ".join(words)


def chance(probability: float) -> str:
    """Return a probability in percent, never as certainty."""
    if probability < 0.001:
        return "< 0.1 %"
    return "> 99.9 %" if probability > 0.999 else f"{100 * probability:.1f} %"
