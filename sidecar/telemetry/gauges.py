"""What other rooms know, asked for when Prometheus scrapes."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import structlog
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_log = structlog.get_logger()

_MOST_ARMS = 1000
_MOST_BUDGETS = 1000

Number = Callable[[], float | None]
"""Returns ``None`` when there is nothing to say; the metric is absent then."""
ByName = Callable[[], Mapping[str, float]]


def _unknown() -> None:
    return None


_METRICS = {
    "config_version": (
        "pointsman_config_version",
        "Version of the configuration that is live on this node.",
    ),
    "config_age_seconds": (
        "pointsman_config_age_seconds",
        "Seconds since the live configuration was taken over.",
    ),
    "config_rejections": (
        "pointsman_config_rejections",
        "Configurations that were refused while the last good one served on.",
    ),
    "store_up": (
        "pointsman_store_up",
        "1 while Redis answers this node; at 0 the last good rules serve on.",
    ),
    "in_flight": (
        "pointsman_requests_in_flight",
        "Requests that are with this backend now.",
    ),
    "healthy": (
        "pointsman_backend_healthy",
        "1 while Envoy has a healthy host for this backend and no node's requests took it out.",
    ),
}


class Gauges(NamedTuple):
    """Where the gauges get their values. Called on whatever thread renders; must not block."""

    config_version: Number = _unknown
    config_age_seconds: Number = _unknown
    config_rejections: ByName = dict
    """Rejections since the start, by code."""
    store_up: Number = _unknown
    in_flight: ByName = dict
    """Requests under way, by backend."""
    healthy: ByName = dict
    """1 or 0, by backend."""


class GaugeCollector(Collector):
    """Asks at each scrape. A source that fails costs its own metric and no other."""

    def __init__(self, gauges: Gauges, backend_label: Callable[[str], str]) -> None:
        self._gauges = gauges
        self._backend_label = backend_label

    def collect(self) -> Iterator[Metric]:
        """Yield what the sources say now."""
        for name, source in self._gauges._asdict().items():
            try:
                value = source()
                family = None if value is None else self._family(name, value)
            except Exception:  # noqa: BLE001
                _log.warning("gauge_failed", gauge=name, exc_info=True)
                continue
            if family is not None:
                yield family

    def _family(self, source: str, value: Any) -> Metric:
        name, text = _METRICS[source]
        if source == "config_rejections":
            rejections = CounterMetricFamily(name, text, labels=["code"])
            for code, count in value.items():
                rejections.add_metric([code], count)
            return rejections
        if not isinstance(value, Mapping):
            return GaugeMetricFamily(name, text, value=value)
        by_backend = GaugeMetricFamily(name, text, labels=["backend"])
        for label, number in self._by_label(value).items():
            by_backend.add_metric([label], number)
        return by_backend

    def _by_label(self, by_name: Mapping[str, float]) -> dict[str, float]:
        summed: dict[str, float] = {}
        for backend, number in by_name.items():
            label = self._backend_label(backend)
            summed[label] = summed.get(label, 0.0) + number
        return summed


class BanditCollector(Collector):
    """Asks at each scrape how bandits draw. ``source``: (router, arm) → probability."""

    def __init__(self, source: Callable[[], Mapping[tuple[str, str], float]]) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        """Yield what the odds are now, of the first 1,000 pairs."""
        family = GaugeMetricFamily(
            "pointsman_bandit_probability",
            "Probability of an arm of a bandit, in the mean over its buckets by their samples.",
            labels=["router", "arm"],
        )
        for labels, probability in islice(self._source().items(), _MOST_ARMS):
            family.add_metric(labels, probability)
        yield family


class BudgetCollector(Collector):
    """Asks at each scrape how much of budgets is used. ``source``: by budget, 1 at the limit."""

    def __init__(self, source: Callable[[], Mapping[str, float]]) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        """Yield the ratio of the first 1,000 budgets."""
        family = GaugeMetricFamily(
            "pointsman_budget_used_ratio",
            "Used part of a budget in its period, of the scope's value that has used most; from 1 "
            "on the budget is at its end.",
            labels=["budget"],
        )
        for name, ratio in islice(self._source().items(), _MOST_BUDGETS):
            family.add_metric([name], ratio)
        yield family


class SpanCollector(Collector):
    """Asks at each scrape what came of the spans. ``source``: how many, by `sent` and `lost`."""

    def __init__(self, source: Callable[[], Mapping[str, int]]) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        """Yield one counter."""
        family = CounterMetricFamily(
            "pointsman_spans",
            "Spans of sampled requests and of their failed attempts. sent: the collector has them; "
            "lost: it did not take them, or more waited than fit.",
            labels=["result"],
        )
        for result, count in self._source().items():
            family.add_metric([result], count)
        yield family
