"""What all dashboards are made of: panels, variables, the mark of a changed configuration."""

import json
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from grafana_foundation_sdk.builders import common as looks
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
ANYTHING = ".*"

CHANGES = (
    'count_values("version", max(pointsman_config_version)) '
    'unless count_values("version", max(pointsman_config_version offset $__interval))'
)
"""A series for each version, only in the step in which it became the newest."""

Panel: TypeAlias = timeseries.Panel | stat.Panel | statetimeline.Panel


class Query(NamedTuple):
    """An expression, and how its series are called."""

    expr: str
    legend: str = ""


def lines(
    title: str, text: str, unit: str, *queries: Query, stacked: bool = False, span: int = 12
) -> timeseries.Panel:
    """Return curves over time; ``unit`` is one of Grafana's, ``text`` says what is seen."""
    panel = timeseries.Panel().line_width(1).fill_opacity(40 if stacked else 5).min(0)
    if stacked:
        panel.stacking(looks.StackingConfig().mode(common.StackingMode.NORMAL))
    panel.tooltip(looks.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    panel.legend(
        looks.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
        .calcs(["mean", "max", "lastNotNull"])
    )
    panel.show_points(common.VisibilityMode.NEVER).span_nulls(span_nulls=False)
    _fill(panel.unit(unit).height(8).span(span), title, text, queries)
    return panel


def number(
    title: str, text: str, unit: str, expr: str, *bounds: float, span: int = 3
) -> stat.Panel:
    """Return one number with its curve; from ``bounds`` on it is orange, then red."""
    colours = zip((None, *bounds), ("green", "orange", "red"), strict=False)
    steps = [dashboard.Threshold(value=bound, color=colour) for bound, colour in colours]
    panel = (
        stat.Panel()
        .graph_mode(common.BigValueGraphMode.AREA)
        .color_mode(common.BigValueColorMode.VALUE)
        .reduce_options(looks.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps))
    )
    _fill(panel.unit(unit).height(4).span(span), title, text, [Query(expr)])
    return panel


def states(title: str, text: str, query: Query, up: str, down: str) -> statetimeline.Panel:
    """Return bars over time of what is 1 (``up``) or 0 (``down``)."""
    mapping = dashboard.ValueMap(
        options={
            "1": dashboard.ValueMappingResult(text=up, color="green", index=0),
            "0": dashboard.ValueMappingResult(text=down, color="red", index=1),
        }
    )
    panel = statetimeline.Panel().mappings([mapping]).show_value(common.VisibilityMode.NEVER)
    _fill(panel.height(8).span(12), title, text, [query])
    return panel


def _fill(panel: Panel, title: str, text: str, queries: Sequence[Query]) -> None:
    panel.title(title).description(text).datasource(SOURCE)
    for place, query in enumerate(queries):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend)
        target.ref_id("ABCDEFGH"[place]).datasource(SOURCE)
        over_all = "$__range" in query.expr  # one value, so asking at each point is for nothing
        panel.with_target(target.instant() if over_all else target.range())


def variable(name: str, label: str, query: str, text: str) -> build.QueryVariable:
    """Return a choice of any number of values; ``query`` is Grafana's label_values()."""
    return (
        build.QueryVariable(name)
        .label(label)
        .description(text)
        .datasource(SOURCE)
        .query({"query": query, "refId": "StandardVariableQuery"})
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(ANYTHING)
        .current(dashboard.VariableOption(selected=True, text="All", value="$__all"))
    )


def new(name: str, title: str, text: str, *variables: build.QueryVariable) -> build.Dashboard:
    """Return a dashboard without panels; ``name`` is the end of its address."""
    source = build.DatasourceVariable("datasource").label("Data source").type("prometheus")
    marks = build.AnnotationQuery().name("Configuration changes").datasource(SOURCE)
    return (
        build.Dashboard(title)
        .uid(f"pointsman-{name}")
        .description(text)
        .tags(["pointsman"])
        .readonly()
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .variables([source, *variables])
        .annotation(marks.enable(enable=True).icon_color("blue").expr(CHANGES))
        .link(_others())
    )


def _others() -> build.DashboardLink:
    link = build.DashboardLink("Pointsman").type(dashboard.DashboardLinkType.DASHBOARDS)
    return link.tags(["pointsman"]).as_dropdown(as_dropdown=True).keep_time(keep_time=True)


def text_of(made: build.Dashboard) -> str:
    """Return the JSON, with what the library has no word for, or leaves out."""
    document = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    for place, panel in enumerate(document["panels"], 1):
        panel["id"] = place
        if "repeat" in panel:
            panel["maxPerRow"] = 2
    for mark in document["annotations"]["list"]:
        mark |= {"titleFormat": "Configuration", "textFormat": "version {{version}}", "step": "15s"}
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
