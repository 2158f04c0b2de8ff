from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.outcome import FailedAttempt, Outcome
from tests.unit.telemetry.rendered import (
    ANSWER,
    DECISION,
    NOTHING,
    samples,
    value,
    values,
)
from tests.unit.telemetry.snapshots import LARGE, PREMIUM, SMALL, backend, router, snapshot, usual


class TestZeros:
    def test_what_the_rules_can_lead_to_is_there_before_it_happens(self, metrics):
        for strategy in ("fallback", "fallback/optimized"):
            for name in ("small", "large"):
                for outcome in ("ok", "error"):
                    labels = {"route": "premium", "strategy": strategy, "backend": name}
                    found = value(metrics, "pointsman_decisions_total", **labels, outcome=outcome)
                    assert found == 0
        hop = {"route": "premium", "from_backend": "large", "to_backend": "small"}
        assert value(metrics, "pointsman_fallbacks_total", **hop) == 0
        assert value(metrics, "pointsman_attempts_total", backend="large", code="timeout") == 0
        assert value(metrics, "pointsman_cost_usd_total", backend="large") == 0

    def test_failing_open_is_there_for_the_default_chain(self, metrics):
        labels = NOTHING | {"outcome": "fail_open"}
        assert value(metrics, "pointsman_decisions_total", **labels, backend="small") == 0

    def test_a_new_snapshot_keeps_what_was_counted(self, metrics):
        metrics.outcome(Outcome(**ANSWER))
        metrics.use(usual())

        labels = DECISION | {"backend": "small", "outcome": "ok"}
        assert value(metrics, "pointsman_decisions_total", **labels) == 1

    def test_thousands_of_routes_make_a_bounded_number_of_series(self):
        metrics = Metrics("1")
        metrics.use(snapshot([SMALL, LARGE], {f"r{n}": PREMIUM for n in range(10_000)}))

        assert len(samples(metrics)) < 6000


class TestCardinality:
    def test_what_is_not_configured_is_other(self, metrics):
        changes = {"route": "forged", "strategy": "forged/chain", "backend": "ghost"}
        metrics.outcome(Outcome(**ANSWER | changes))
        metrics.attempt(FailedAttempt("ghost", "500", blamed=True))

        assert values(metrics, "pointsman_decisions_total") == {
            ("other", "ok", "other", "other"): 1
        }
        assert values(metrics, "pointsman_attempts_total") == {
            ("other", "200"): 1,
            ("other", "500"): 1,
        }
        assert all("forged" not in str(key) and "ghost" not in str(key) for key in samples(metrics))

    def test_a_name_that_was_unknown_counts_once_it_is_configured(self, metrics):
        metrics.outcome(Outcome(**ANSWER | {"route": "later"}))
        metrics.use(snapshot([SMALL], {"later": PREMIUM}))
        metrics.outcome(Outcome(**ANSWER | {"route": "later"}))

        routes = {key[2]: n for key, n in values(metrics, "pointsman_decisions_total").items()}
        assert routes == {"other": 1, "later": 1}

    def test_beyond_a_thousand_values_it_is_other(self):
        metrics = Metrics("1")
        names = [f"b{number}" for number in range(1001)]
        metrics.use(snapshot([backend(name) for name in names]))
        for name in names:
            metrics.outcome(Outcome(**ANSWER | {"backend": name, "plan": ()}))

        found = {name for name, _ in values(metrics, "pointsman_attempts_total")}
        assert found == {*names[:1000], "other"}

    def test_a_removed_name_goes_on_until_its_place_is_needed(self):
        metrics = Metrics("1")
        metrics.use(snapshot([backend("old"), backend("other-old")]))
        metrics.outcome(Outcome(**ANSWER | {"backend": "old"}))
        metrics.use(snapshot([backend(f"b{number}") for number in range(998)]))
        assert value(metrics, "pointsman_attempts_total", backend="old", code="200") == 1

        metrics.use(snapshot([backend(f"b{number}") for number in range(999)]))
        assert value(metrics, "pointsman_attempts_total", backend="old", code="200") is None
        assert value(metrics, "pointsman_attempts_total", backend="b998", code="200") == 0

    def test_a_walk_through_nested_routers_names_all_strategies(self):
        metrics = Metrics("1")
        deep = router("percentage", router("random", router("latency", SMALL)))
        metrics.use(snapshot([SMALL], routers={"deep": deep}))
        metrics.outcome(Outcome(**ANSWER | {"strategy": "percentage/random/latency"}))

        strategies = {key[3] for key in values(metrics, "pointsman_decisions_total")}
        assert strategies == {"percentage/random/latency"}
