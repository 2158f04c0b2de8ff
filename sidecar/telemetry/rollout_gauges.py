"""Prometheus: experiments as the node that leads the rollouts sees them.

All labels are names from the configuration. Intervals are computed when Prometheus asks, and only
of sums that have changed since; with very many experiments some are those of an earlier scrape.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import structlog
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sidecar.evidence import Interval
from sidecar.model import Experiment
from sidecar.telemetry.rollout import Watched, figures, ladder, shares_of

USUAL = ("error_rate", "latency_ms")
"""Metrics of experiments that name none."""
MOST_SERIES = 1000
"""Of intervals; the experiments that are first by name have theirs."""

BUDGET = 0.1
"""Seconds for the intervals of one scrape."""

_log = structlog.get_logger()
Row = tuple[list[str], Interval]


class Sources(NamedTuple):
    """Where the gauges get their values. Called on whatever thread renders; must not block.

    ``experiments``: all that are configured. ``watched``: the running ones, where this node leads.
    """

    experiments: Callable[[], Iterable[Experiment]]
    watched: Callable[[], Mapping[str, Watched]]
    rollbacks: Callable[[], Mapping[str, int]]
    leads: Callable[[], bool]


class RolloutCollector(Collector):
    """Asks at each scrape."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._known: dict[str, tuple[Watched, list[Row]]] = {}
        """Experiment → what its intervals were computed of, and they; the oldest first."""

    def collect(self) -> Iterator[Metric]:
        """Yield what is known now."""
        watched = dict(self._sources.watched())
        leader = "1 on the node that moves the shares of rollouts."
        yield GaugeMetricFamily("pointsman_rollout_leader", leader, value=self._sources.leads())
        yield self._shares()
        yield self._rollbacks()
        yield _steps(watched)
        yield _splits(watched)
        yield from _intervals(self._rows(watched))

    def _rows(self, watched: Mapping[str, Watched]) -> list[Row]:
        """Return the intervals of all experiments, by name."""
        until = time.monotonic() + BUDGET
        known = {name: each for name, each in self._known.items() if name in watched}
        for name in [*(name for name in watched if name not in known), *known]:
            stale = name not in known or known[name][0].stats is not watched[name].stats
            if stale and time.monotonic() < until:
                known.pop(name, None)  # and to the end of the line
                known[name] = (watched[name], _rows(watched[name]))
        self._known = known
        return [row for name in sorted(known) for row in known[name][1]]

    def _shares(self) -> Metric:
        family = GaugeMetricFamily(
            "pointsman_experiment_share",
            "Share of an arm in percent, as configured; 0 of all arms unless it is running.",
            labels=["experiment", "arm"],
        )
        for experiment in self._sources.experiments():
            runs = experiment.state == "running"
            for arm, share in shares_of(experiment).items():
                family.add_metric([experiment.name, arm], share if runs else 0.0)
        return family

    def _rollbacks(self) -> Metric:
        family = CounterMetricFamily(
            "pointsman_experiment_rollbacks",
            "Roll-backs that this node has made by itself.",
            labels=["experiment"],
        )
        done = dict(self._sources.rollbacks())
        for experiment in self._sources.experiments():
            if experiment.rollout is not None or experiment.name in done:
                family.add_metric([experiment.name], done.get(experiment.name, 0))
        return family


def _steps(watched: Mapping[str, Watched]) -> Metric:
    family = GaugeMetricFamily(
        "pointsman_experiment_step",
        "Step of the rollout, from 1 on; 0 while the candidate has no share.",
        labels=["experiment"],
    )
    for name, one in watched.items():
        if one.experiment.rollout is not None:
            _, place = ladder(one.experiment, one.experiment.rollout)
            family.add_metric([name], place + 1 if one.step is not None else 0)
    return family


def _splits(watched: Mapping[str, Watched]) -> Metric:
    family = GaugeMetricFamily(
        "pointsman_experiment_srm_p_value",
        "Below 0.001: requests did not reach the arms as the shares say; read no results.",
        labels=["experiment"],
    )
    for name, one in watched.items():
        family.add_metric([name], one.srm.p_value)
    return family


def _intervals(rows: list[Row]) -> Iterator[Metric]:
    text = "A metric of an arm, {}; the interval holds at all times at once, at 95 %."
    for suffix, field, what in (
        ("", "estimate", "the estimate"),
        ("_low", "low", "the lower end of its interval"),
        ("_high", "high", "the upper end of its interval"),
    ):
        family = GaugeMetricFamily(
            f"pointsman_experiment_metric{suffix}",
            text.format(what),
            labels=["experiment", "arm", "metric"],
        )
        for labels, found in rows[:MOST_SERIES]:
            value = getattr(found, field)
            if value is not None:
                family.add_metric(labels, value)
        yield family


def _rows(one: Watched) -> list[Row]:
    """Return the intervals of an experiment; none when its sums are of no use."""
    experiment = one.experiment
    names = [metric.name for metric in experiment.metrics] or list(USUAL)
    try:
        found = figures(experiment, one.stats, names)
    except Exception:  # noqa: BLE001
        _log.warning("gauge_failed", gauge=f"experiment {experiment.name}", exc_info=True)
        return []
    return [
        ([experiment.name, arm, metric], each)
        for arm, metrics in found.items()
        for metric, each in metrics.items()
    ]
