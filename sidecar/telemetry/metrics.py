"""Prometheus: outcomes → the metrics of the contract.

A metric of another room joins with `Metrics.registry.register`, or as one more `Series` here.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice, permutations, product

from prometheus_client import CollectorRegistry, Info
from prometheus_client.exposition import choose_encoder

from sidecar.choose import STRATEGIES
from sidecar.decide import BUDGET, DEFAULT, INLINE, NAMED, STORED
from sidecar.errors import RequestError
from sidecar.model import Backend, Snapshot
from sidecar.telemetry.answers import Answers
from sidecar.telemetry.ejection import REASONS
from sidecar.telemetry.exposition import Counter, Histogram
from sidecar.telemetry.feedback import kinds
from sidecar.telemetry.gauges import GaugeCollector, Gauges
from sidecar.telemetry.gen_ai import GenAi
from sidecar.telemetry.labels import (
    Names,
    Reach,
    Reaches,
    Series,
    counter,
    histogram,
    reach,
)
from sidecar.telemetry.outcome import FailedAttempt, Outcome
from sidecar.telemetry.usage import cost_usd

NONE = "none"
"""Route and strategy of requests that nothing was decided for."""

BROKEN, PARTIAL, UNCOUNTED = "access_log_entry", "tokens_partial", "tokens_unknown"
CLIENT_GONE = "client_gone"
"""Codes of pointsman_errors_total, besides those of rejections and of decisions' warnings."""

_RESULTS = ("ok", "error", "rejected", "fail_open")
_WRITTEN = ("kept", "lost")
_USUAL_CODES = ("200", "429", "500", "503", "connect_failure", "reset", "timeout")
_PREPARED = 2000
"""Counters that are made at 0 for each metric; the others appear when they count."""
_PREPARED_HOPS = 20
_DECISION_BUCKETS = (
    *(1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4),
    *(1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 1e-1, 5e-1),
)
_HELP = {
    "pointsman_decisions": "Requests of decided paths, by the route and the strategy that decided "
    "and the backend that answered last. outcome: ok, error (an error or a broken answer reached "
    "the client), rejected (by the sidecar), fail_open (not decided in time: default chain).",
    "pointsman_attempts": "Attempts at a backend, those behind a successful fallback included. "
    "code: HTTP status, or why there was none (timeout, reset, connect_failure, ...).",
    "pointsman_fallbacks": "Steps from a backend that failed to the next one of the plan.",
    "pointsman_cost_usd": "US dollars: counted tokens times the backend's price when the request "
    "began, cached input at its own price.",
    "pointsman_ejections": "How often a backend went out, as seen here. reason: "
    "consecutive_failures, error_rate (of the last minute), trial (failed again), retry_after.",
    "pointsman_feedback": "Feedback that was taken, repeated feedback included. backend: the one "
    "that answered the request; metric: other when no experiment has it.",
    "pointsman_experiment_outcomes": "Outcomes of requests in experiments, one per arm. kept: in "
    "the sums in Redis; lost: could not be written, or were in memory when control died.",
    "pointsman_decision_log": "Entries of the log of decisions. kept: in the stream in Redis; "
    "lost: could not be written.",
    "pointsman_experiment_assignments": "Requests that were put into an arm of an experiment, "
    "whoever answered them then.",
    "pointsman_budget_rejections": "Requests that were rejected because this budget is used up, or "
    "cannot be known while Redis is away.",
    "pointsman_errors": "Rejections and warnings by code. tokens_unknown and tokens_partial: "
    "answers whose tokens, and cost, are missing or incomplete.",
}


class Metrics:
    """Counts what came of requests. Counting and rendering may be on different threads."""

    def __init__(self, version: str, gauges: Gauges | None = None) -> None:
        self.registry = CollectorRegistry()
        self._configured: Mapping[str, Backend] = {}
        self._reaches = Reaches()
        self._series: list[Series[Counter] | Series[Histogram]] = []
        self._backends = backend = Names("")
        self._routes = route = Names(NONE, INLINE, STORED, NAMED, DEFAULT, BUDGET)
        self._strategies = strategy = Names(NONE, *STRATEGIES)
        self._decisions = self._counter(
            "decisions", route=route, strategy=strategy, backend=backend, outcome=Names(*_RESULTS)
        )
        self._decision_seconds = histogram(
            "pointsman_decision_duration_seconds",
            "Time to decide, inside the worker.",
            {"strategy": strategy},
            _DECISION_BUCKETS,
        )
        self._series.append(self._decision_seconds)
        self._attempts = self._counter("attempts", backend=backend, code=Names(learn=True))
        self._fallbacks = self._counter(
            "fallbacks", route=route, from_backend=backend, to_backend=backend
        )
        self._cost = self._counter("cost_usd", backend=backend)
        self._errors = self._counter("errors", code=Names(learn=True))
        self._ejections = self._counter("ejections", backend=backend, reason=Names(*REASONS))
        self._known_experiments: AbstractSet[str] = frozenset()
        self._experiments, self._arms = Names(), Names()
        self._assignments = self._counter(
            "experiment_assignments", experiment=self._experiments, arm=self._arms
        )
        self._feedback_metrics = Names()
        self._feedback = self._counter("feedback", backend=backend, metric=self._feedback_metrics)
        self._experiment_outcomes = self._counter("experiment_outcomes", result=Names(*_WRITTEN))
        self._decision_log = self._counter("decision_log", result=Names(*_WRITTEN))
        self._budgets = Names()
        self._budget_rejections = self._counter("budget_rejections", budget=self._budgets)
        self._gen_ai = GenAi()
        self._answers = Answers(backend)
        self._series += self._answers.series
        build = Info("pointsman_build", "Version of the sidecar.", registry=self.registry)
        build.info({"version": version})
        self.registry.register(GaugeCollector(gauges or Gauges(), backend.label))
        self._prepare({})

    def use(self, snapshot: Snapshot) -> None:
        """Take names and prices from ``snapshot``; what can be counted by them starts at 0."""
        self._configured = snapshot.backends
        reached = self._reaches.by_route(snapshot.route_list)
        routers = [reach(router) for router in snapshot.routers.values()]
        if snapshot.default is not None:
            reached[DEFAULT] = reach(snapshot.default)
        budgets = snapshot.budgets.every if snapshot.budgets is not None else ()
        cheaper = [reach(one.router) for one in budgets if one.router is not None]
        trails = [trail for each in (*reached.values(), *routers) for trail in each.trails]
        trails += [f"budget/{trail}" for each in cheaper for trail in each.trails]
        self._refresh(self._budgets, (one.name for one in budgets))
        self._budget_rejections.prepare((one.name,) for one in budgets)
        self._refresh(self._backends, snapshot.backends)
        self._refresh(self._routes, reached)
        self._refresh(self._strategies, trails)
        self._known_experiments = snapshot.experiments.keys()
        self._refresh(self._experiments, snapshot.experiments)
        self._refresh(
            self._arms, (arm.name for one in snapshot.experiments.values() for arm in one.arms)
        )
        self._refresh(self._feedback_metrics, _feedback_metrics(snapshot))
        self._gen_ai.use(snapshot.backends)
        self._prepare(reached)
        arms = ((one.name, arm.name) for one in snapshot.experiments.values() for arm in one.arms)
        self._assignments.prepare(islice(arms, _PREPARED))

    def outcome(self, outcome: Outcome) -> None:
        """Count one request."""
        result, backend = result_of(outcome), outcome.backend
        route, strategy = outcome.route or NONE, outcome.strategy or NONE
        if result is not None:
            self._decisions.of(route, strategy, backend, result).inc()
        if outcome.decision_s is not None:
            self._decision_seconds.of(strategy).observe(outcome.decision_s)
        if outcome.assignments:
            self._assigned(outcome)
        self._count_codes(outcome)
        if not backend:
            return
        if outcome.answered:
            self._attempts.of(backend, str(outcome.status)).inc()
        elif outcome.client_gone and not outcome.status:
            self._attempts.of(backend, CLIENT_GONE).inc()
        for step in range(min(outcome.attempts, len(outcome.plan)) - 1):
            self._fallbacks.of(route, outcome.plan[step], outcome.plan[step + 1]).inc()
        configured = self._configured.get(backend)
        if configured is not None:
            price = configured.price_at(outcome.started)
            self._cost.of(backend).inc(cost_usd(outcome.tokens, price))
        self._gen_ai.observe(outcome)
        self._answers.observe(outcome)

    def _count_codes(self, outcome: Outcome) -> None:
        if outcome.budget:
            self._budget_rejections.of(outcome.budget).inc()
        for code in _codes(outcome):
            self._errors.of(code).inc()

    def _assigned(self, outcome: Outcome) -> None:
        for one in outcome.assignments:
            if one.experiment in self._known_experiments:  # a bandit's are its own
                self._assignments.of(one.experiment, one.arm).inc()

    def attempt(self, attempt: FailedAttempt) -> None:
        """Count one failed attempt."""
        self._attempts.of(attempt.backend, attempt.code).inc()

    def error(self, code: str) -> None:
        """Count an error or a warning that no access log entry tells of."""
        self._errors.of(code).inc()

    def ejection(self, backend: str, reason: str) -> None:
        """Count that a backend went out."""
        self._ejections.of(backend, reason).inc()

    def feedback(self, backend: str, metric: str) -> None:
        """Count feedback that was taken."""
        self._feedback.of(backend, metric).inc()

    def experiment_outcomes(self, result: str, count: int) -> None:
        """Count outcomes in experiments that were ``kept`` or ``lost``."""
        self._experiment_outcomes.of(result).inc(count)

    def decision_log(self, result: str, count: int) -> None:
        """Count entries of the log of decisions that were ``kept`` or ``lost``."""
        self._decision_log.of(result).inc(count)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return text and content type for an ``Accept`` header: OpenMetrics if it asks so."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):
            # prometheus-client fails on a version that is no number.
            encode, content_type = choose_encoder("")
        openmetrics = content_type.startswith("application/openmetrics-text")
        shown = (*self._series, *self._gen_ai.series)
        text = "".join([series.render(openmetrics=openmetrics) for series in shown])
        # The library's part is the last one: it ends with OpenMetrics' mark of the end.
        return text.encode("utf-8", "replace") + encode(self.registry), content_type

    def _counter(self, name: str, **labels: Names) -> Series[Counter]:
        name = f"pointsman_{name}"
        series = counter(name, _HELP[name], labels)
        self._series.append(series)
        return series

    def _refresh(self, names: Names, current: Iterable[str]) -> None:
        changed, dropped = names.use(current)
        for series in self._series if changed else ():
            series.refresh(names, dropped)

    def _prepare(self, reached: Mapping[str, Reach]) -> None:
        """Make counters at 0, so that a first event is a rise and a dashboard has no gaps."""
        default = reached[DEFAULT].backends if DEFAULT in reached else ()
        self._decisions.prepare((NONE, NONE, name, "fail_open") for name in ("", *default))
        self._decisions.prepare([(NONE, NONE, "", "rejected")])
        self._errors.prepare((code,) for code in _KNOWN_CODES)
        attempts = ((name, code) for code in _USUAL_CODES for name in self._configured)
        self._attempts.prepare(islice(attempts, _PREPARED))
        self._experiment_outcomes.prepare((result,) for result in _WRITTEN)
        self._decision_log.prepare((result,) for result in _WRITTEN)
        self._ejections.prepare(islice(product(self._configured, REASONS), _PREPARED))
        self._cost.prepare((name,) for name in islice(self._configured, _PREPARED))
        self._answers.prepare(self._configured)
        self._decisions.prepare(islice(_possible_decisions(reached), _PREPARED))
        self._fallbacks.prepare(islice(_possible_hops(reached), _PREPARED))


_KNOWN_CODES = (
    *(kind.code for kind in RequestError.__subclasses__()),
    *("unknown_model", CLIENT_GONE, PARTIAL, UNCOUNTED, BROKEN),
)


def _feedback_metrics(snapshot: Snapshot) -> Iterator[str]:
    for experiment in snapshot.experiments.values():
        yield from kinds(experiment)


def _possible_decisions(reached: Mapping[str, Reach]) -> Iterator[tuple[str, ...]]:
    for route, each in reached.items():
        for trail, backend in product(each.trails, each.backends):
            yield route, trail, backend, "ok"
            yield route, trail, backend, "error"


def _possible_hops(reached: Mapping[str, Reach]) -> Iterator[tuple[str, ...]]:
    for route, each in reached.items():
        for hop in islice(permutations(each.backends, 2), _PREPARED_HOPS):
            yield route, *hop


def result_of(outcome: Outcome) -> str | None:
    """Return the outcome label; ``None`` when nothing was to be decided, or the client left."""
    if outcome.error_code is not None:
        return "rejected"
    if outcome.failed_open:
        return "fail_open"
    if not outcome.decision_id:
        return None
    return "error" if outcome.failed else "ok"


def _codes(outcome: Outcome) -> Iterable[str]:
    yield from outcome.warnings
    if outcome.error_code is not None:
        yield outcome.error_code
    if outcome.client_gone:
        yield CLIENT_GONE
    tokens = outcome.tokens
    if tokens.partial:
        yield PARTIAL
    if outcome.answered and outcome.operation and tokens.input is None and tokens.output is None:
        yield UNCOUNTED
