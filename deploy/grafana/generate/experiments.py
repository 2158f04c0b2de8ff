"""Experiments: shares, whether the split can be trusted, and what the arms have shown."""

from grafana_foundation_sdk.builders import common as looks
from grafana_foundation_sdk.builders.dashboard import Dashboard, QueryVariable, Row
from grafana_foundation_sdk.models import common

from deploy.grafana.generate.panels import Panel, Query, lines, new, number, variable

RATE = "[$__rate_interval]"
CHOSEN = 'experiment=~"$experiment"'
ARM = "{{experiment}}: {{arm}}"


def dashboard() -> Dashboard:
    """Return the dashboard."""
    made = new(
        "experiments",
        "Pointsman: experiments",
        "Figures are those of the node that leads the rollouts. Intervals hold at all times at "
        "once, so they may be looked at every day.",
        *_variables(),
    )
    for panel in _now():
        made.with_panel(panel)
    made.with_row(Row("Shares"))
    for panel in _shares():
        made.with_panel(panel)
    made.with_row(Row("What the arms have shown"))
    made.with_panel(_metric())
    made.with_row(Row("Feedback and bandits"))
    for panel in _learning():
        made.with_panel(panel)
    return made


def _variables() -> tuple[QueryVariable, QueryVariable]:
    return (
        variable(
            "experiment",
            "Experiment",
            "label_values(pointsman_experiment_share, experiment)",
            "All that are configured, running or not.",
        ),
        variable(
            "metric",
            "Metric",
            f"label_values(pointsman_experiment_metric{{{CHOSEN}}}, metric)",
            "One panel for each.",
        ),
    )


def _now() -> list[Panel]:
    back = f"sum(increase(pointsman_experiment_rollbacks_total{{{CHOSEN}}}[$__range]))"
    lost = 'sum(increase(pointsman_experiment_outcomes_total{result="lost"}[$__range]))'
    return [
        number(
            "Requests in experiments",
            "Per second, by assignment to an arm.",
            "reqps",
            f"sum(rate(pointsman_experiment_assignments_total{{{CHOSEN}}}{RATE}))",
            span=6,
        ),
        number(
            "Rolled back",
            "Candidates that were taken out by themselves, in the time shown.",
            "short",
            back,
            1,
            span=6,
        ),
        number(
            "Least p-value of the split",
            "Below 0.001 the arms of an experiment do not get what their shares say: read none of "
            "its results.",
            "short",
            f"min(pointsman_experiment_srm_p_value{{{CHOSEN}}})",
            span=6,
        ),
        number(
            "Lost outcomes",
            "That could not be written to Redis, in the time shown: results lack them.",
            "short",
            lost,
            1,
            span=6,
        ),
    ]


def _shares() -> list[Panel]:
    got = f"(rate(pointsman_experiment_assignments_total{{{CHOSEN}}}{RATE}))"
    split = lines(
        "Is the split as it should be?",
        "p-value of the sample ratio, valid at all times. Below 0.001, find out why before "
        "reading results.",
        "short",
        Query(
            f"min by (experiment) (pointsman_experiment_srm_p_value{{{CHOSEN}}})", "{{experiment}}"
        ),
        Query("vector(0.001)", "alert"),
    )
    scale = looks.ScaleDistributionConfig().type(common.ScaleDistribution.LOG)
    return [
        lines(
            "Shares as configured",
            "Percent; 0 unless the experiment is running. What is left goes to the next route.",
            "percent",
            Query(f"max by (experiment, arm) (pointsman_experiment_share{{{CHOSEN}}})", ARM),
        ),
        lines(
            "Shares of requests",
            "Of the experiment's requests. Requests, not users: heavy users weigh more.",
            "percentunit",
            Query(
                f"sum by (experiment, arm) {got} / on (experiment) group_left () "
                f"(sum by (experiment) {got} > 0)",
                ARM,
            ),
        ),
        lines(
            "Steps of rollouts",
            "From 1 on; 0 while the candidate has no share.",
            "short",
            Query(f"max by (experiment) (pointsman_experiment_step{{{CHOSEN}}})", "{{experiment}}"),
        ),
        split.scale_distribution(scale.log(10)).min(1e-6).max(1),
    ]


def _metric() -> Panel:
    chosen = f'{CHOSEN}, metric=~"$metric"'
    parts = (("", ""), ("_low", " low"), ("_high", " high"))
    queries = [
        Query(
            f"max by (experiment, arm, metric) (pointsman_experiment_metric{part}{{{chosen}}})",
            f"{ARM}{name}",
        )
        for part, name in parts
    ]
    panel = lines(
        "$metric",
        "The estimate, and the ends of its interval at 95 %, which hold at all times at once. An "
        "end that is not known yet is not shown. Rates are shares of 1, times are milliseconds.",
        "short",
        *queries,
        span=24,
    )
    return panel.repeat("metric").repeat_direction("h")


def _learning() -> list[Panel]:
    reports = f"sum by (backend, metric) (rate(pointsman_feedback_total{RATE}))"
    outcomes = f"sum by (result) (rate(pointsman_experiment_outcomes_total{RATE}))"
    return [
        lines(
            "Feedback",
            "Reports by the backend that answered; other: no experiment has this metric.",
            "ops",
            Query(f"{reports} or vector(0)", "{{backend}} {{metric}}"),
        ),
        lines(
            "Outcomes",
            "One for each arm that a request was in. lost: not in the sums.",
            "ops",
            Query(outcomes, "{{result}}"),
        ),
        lines(
            "Bandits",
            "How probable each arm of a bandit is, in the mean over its buckets.",
            "percentunit",
            Query("max by (router, arm) (pointsman_bandit_probability)", "{{router}}: {{arm}}"),
            span=24,
        ).no_value("no router is a bandit"),
    ]
