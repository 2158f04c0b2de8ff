import pytest
from msgspec.structs import replace

from sidecar.errors import RequestError
from sidecar.model import (
    Arm,
    Assignment,
    CalendarFields,
    Experiment,
    Price,
    PricePeriod,
    compile_calendar,
)
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.outcome import FailedAttempt, Outcome, Usage
from tests.unit.telemetry.rendered import (
    ANSWER,
    DECISION,
    NOTHING,
    SMALL_CHAT,
    STREAM,
    samples,
    value,
    values,
)
from tests.unit.telemetry.snapshots import SMALL, snapshot, usual


class TestDecisions:
    @pytest.mark.parametrize(
        ("changes", "labels"),
        [
            ({}, DECISION | {"backend": "small", "outcome": "ok"}),
            ({"status": 503}, DECISION | {"backend": "small", "outcome": "error"}),
            ({"status": 400}, DECISION | {"backend": "small", "outcome": "error"}),
            ({"failure": "reset"}, DECISION | {"backend": "small", "outcome": "error"}),
            (
                {"client_gone": True, "status": 0},
                DECISION | {"backend": "small", "outcome": "ok"},
            ),
            (
                {"decision_id": "", "route": "", "strategy": "", "failed_open": True},
                NOTHING | {"backend": "small", "outcome": "fail_open"},
            ),
            (
                {
                    "decision_id": "",
                    "route": "",
                    "strategy": "",
                    "backend": "",
                    "status": 400,
                    "error_code": "invalid_json",
                },
                NOTHING | {"backend": "", "outcome": "rejected"},
            ),
            (
                {"route": "(inline)"},
                DECISION | {"route": "(inline)", "backend": "small", "outcome": "ok"},
            ),
        ],
        ids=str,
    )
    def test_have_an_outcome(self, metrics, changes, labels):
        metrics.outcome(Outcome(**ANSWER | changes))

        assert value(metrics, "pointsman_decisions_total", **labels) == 1
        assert sum(values(metrics, "pointsman_decisions_total").values()) == 1

    def test_undecided_requests_are_none(self, metrics):
        metrics.outcome(Outcome(backend="small", attempts=1, status=200, undecided=True))

        assert values(metrics, "pointsman_decisions_total") == {}
        assert values(metrics, "pointsman_attempts_total") == {("small", "200"): 1}

    def test_are_timed(self, metrics):
        metrics.outcome(Outcome(**ANSWER | {"decision_s": 0.00003}))

        name, strategy = "pointsman_decision_duration_seconds", "fallback/optimized"
        assert value(metrics, f"{name}_sum", strategy=strategy) == 0.00003
        assert value(metrics, f"{name}_bucket", strategy=strategy, le="2.5e-05") == 0
        assert value(metrics, f"{name}_bucket", strategy=strategy, le="5e-05") == 1


class TestAttempts:
    def test_successes_come_from_requests_and_failures_from_attempts(self, metrics):
        metrics.attempt(FailedAttempt("small", "500", blamed=True))
        metrics.attempt(FailedAttempt("large", "timeout", blamed=True))
        metrics.outcome(Outcome(**ANSWER | {"backend": "large", "attempts": 2, "status": 504}))
        metrics.outcome(Outcome(**ANSWER))

        assert values(metrics, "pointsman_attempts_total") == {
            ("small", "500"): 1,
            ("large", "timeout"): 1,
            ("small", "200"): 1,
        }

    def test_that_a_client_did_not_wait_for_are_counted(self, metrics):
        metrics.outcome(Outcome(**ANSWER | {"client_gone": True, "status": 0}))

        assert values(metrics, "pointsman_attempts_total") == {("small", "client_gone"): 1}

    @pytest.mark.parametrize(
        ("attempts", "hops"),
        [
            (1, {}),
            (2, {("large", "premium", "small"): 1.0}),
            (9, {("large", "premium", "small"): 1.0, ("small", "premium", "large"): 1.0}),
        ],
    )
    def test_each_hop_that_was_walked_is_a_fallback(self, metrics, attempts, hops):
        plan = ("large", "small", "large")
        metrics.outcome(Outcome(**ANSWER | {"plan": plan, "attempts": attempts}))

        found = {
            (labels["from_backend"], labels["route"], labels["to_backend"]): number
            for (name, pairs), number in samples(metrics).items()
            if name == "pointsman_fallbacks_total" and number
            for labels in [dict(pairs)]
        }
        assert found == hops


class TestTokens:
    def test_are_counted_by_type(self, metrics):
        metrics.outcome(Outcome(**ANSWER | {"tokens": Usage(10, 5, 4)}))

        for kind, count in (("input", 10), ("output", 5), ("cached_input", 4)):
            labels = SMALL_CHAT | {"gen_ai_token_type": kind}
            assert value(metrics, "gen_ai_client_token_usage_sum", **labels) == count
            assert value(metrics, "gen_ai_client_token_usage_count", **labels) == 1

    @pytest.mark.parametrize("cached", [None, 0])
    def test_no_cache_hit_is_no_value(self, metrics, cached):
        metrics.outcome(Outcome(**ANSWER | {"tokens": Usage(10, 0, cached)}))

        for kind, count in (("input", 1), ("output", 1), ("cached_input", None)):
            labels = SMALL_CHAT | {"gen_ai_token_type": kind}
            assert value(metrics, "gen_ai_client_token_usage_count", **labels) == count

    def test_cost(self, metrics):
        metrics.outcome(Outcome(**ANSWER | {"tokens": Usage(10, 5, 4)}))
        metrics.outcome(Outcome(**ANSWER | {"backend": "large"}))

        assert value(metrics, "pointsman_cost_usd_total", backend="small") == 54.0
        assert value(metrics, "pointsman_cost_usd_total", backend="large") == 0.0

    def test_cost_is_by_the_price_at_the_time_of_the_request(self, metrics):
        night = compile_calendar(CalendarFields(hours="22:00-06:00"), "c")
        cheap = replace(SMALL, price_periods=(PricePeriod(night, Price(1.0, 2.0)),))
        metrics.use(snapshot([cheap]))
        noon, midnight = 1_795_003_200.0, 1_795_046_400.0
        assert (noon % 86400, midnight % 86400) == (43200, 0)

        metrics.outcome(Outcome(**ANSWER | {"tokens": Usage(10, 5), "started": midnight}))
        assert value(metrics, "pointsman_cost_usd_total", backend="small") == 20.0
        metrics.outcome(Outcome(**ANSWER | {"tokens": Usage(10, 5), "started": noon}))
        assert value(metrics, "pointsman_cost_usd_total", backend="small") == 80.0

    @pytest.mark.parametrize(
        ("changes", "codes"),
        [
            ({"tokens": Usage()}, {("tokens_unknown",): 1}),
            ({"tokens": Usage(output=3, partial=True)}, {("tokens_partial",): 1}),
            ({"tokens": Usage(), "status": 500}, {}),
            (
                {"tokens": Usage(), "client_gone": True},
                {("tokens_unknown",): 1, ("client_gone",): 1},
            ),
        ],
        ids=str,
    )
    def test_that_are_missing_are_told_and_not_guessed(self, metrics, changes, codes):
        metrics.outcome(Outcome(**ANSWER | changes))

        assert values(metrics, "pointsman_errors_total") == codes

    def test_count_when_the_client_has_left(self, metrics):
        metrics.outcome(Outcome(**STREAM | {"client_gone": True, "tokens": Usage(10)}))

        labels = SMALL_CHAT | {"gen_ai_token_type": "input"}
        assert value(metrics, "gen_ai_client_token_usage_sum", **labels) == 10
        assert value(metrics, "pointsman_cost_usd_total", backend="small") == 20.0


class TestTimes:
    def test_of_a_stream(self, metrics):
        metrics.outcome(Outcome(**STREAM))

        first, each = "gen_ai_server_time_to_first_token", "gen_ai_server_time_per_output_token"
        assert value(metrics, f"{first}_seconds_sum", **SMALL_CHAT) == 0.04
        assert value(metrics, f"{each}_seconds_sum", **SMALL_CHAT) == pytest.approx(0.05)
        duration = value(
            metrics, "gen_ai_server_request_duration_seconds_sum", **SMALL_CHAT, error_type=""
        )
        assert duration == 0.25

    def test_an_answer_in_one_piece_has_no_first_token(self, metrics):
        metrics.outcome(Outcome(**ANSWER | {"ttft_s": 0.239}))

        assert (
            value(metrics, "gen_ai_server_time_to_first_token_seconds_count", **SMALL_CHAT) is None
        )

    @pytest.mark.parametrize("tokens", [Usage(), Usage(10, 1), Usage(10, 0)])
    def test_one_token_has_no_time_between_tokens(self, metrics, tokens):
        metrics.outcome(Outcome(**STREAM | {"tokens": tokens}))

        name = "gen_ai_server_time_per_output_token_seconds_count"
        assert value(metrics, name, **SMALL_CHAT) is None

    @pytest.mark.parametrize(
        ("changes", "error_type"),
        [
            ({"status": 429}, "429"),
            ({"status": 504, "failure": "timeout"}, "timeout"),
            ({"client_gone": True}, "client_gone"),
        ],
    )
    def test_errors_have_a_type(self, metrics, changes, error_type):
        metrics.outcome(Outcome(**ANSWER | changes))

        name = "gen_ai_server_request_duration_seconds_count"
        assert value(metrics, name, **SMALL_CHAT, error_type=error_type) == 1

    @pytest.mark.parametrize(
        ("operation", "name"),
        [
            ("chat", "chat"),
            ("responses", "chat"),
            ("messages", "chat"),
            ("completions", "text_completion"),
            ("embeddings", "embeddings"),
        ],
    )
    def test_operations_have_opentelemetrys_names(self, metrics, operation, name):
        metrics.outcome(Outcome(**ANSWER | {"operation": operation}))

        labels = SMALL_CHAT | {"gen_ai_operation_name": name, "error_type": ""}
        assert value(metrics, "gen_ai_server_request_duration_seconds_count", **labels) == 1

    def test_the_buckets_for_the_first_token_reach_a_minute(self, metrics):
        metrics.outcome(Outcome(**STREAM | {"ttft_s": 59.0}))

        name = "gen_ai_server_time_to_first_token_seconds_bucket"
        assert value(metrics, name, **SMALL_CHAT, le="45.0") == 0
        assert value(metrics, name, **SMALL_CHAT, le="60.0") == 1


class TestExperiments:
    SOME = replace(usual(), experiments={"tone": Experiment("tone", (Arm("a", 50), Arm("b", 50)))})

    def test_assignments_are_counted_by_arm_whatever_came_of_them(self, metrics):
        metrics.use(self.SOME)
        one = Assignment("tone", 1, "a", 0.5, "0123456789abcdef")
        for status in (200, 503):
            metrics.outcome(Outcome(**ANSWER | {"status": status, "assignments": (one,)}))

        assert values(metrics, "pointsman_experiment_assignments_total") == {("a", "tone"): 2}

    def test_arms_are_there_before_they_count(self, metrics):
        metrics.use(self.SOME)

        name = "pointsman_experiment_assignments_total"
        assert value(metrics, name, experiment="tone", arm="b") == 0

    def test_what_is_no_experiment_is_not_counted(self, metrics):
        metrics.use(self.SOME)
        metrics.outcome(Outcome(**ANSWER | {"assignments": (Assignment("x", 1, "a", 0.5),)}))

        assert values(metrics, "pointsman_experiment_assignments_total") == {}


class TestErrors:
    def test_rejections_and_warnings_are_counted_by_code(self, metrics):
        metrics.outcome(Outcome(status=400, error_code="invalid_router"))
        metrics.outcome(Outcome(**ANSWER | {"warnings": ("unknown_model", "no_candidate")}))
        metrics.error("access_log_entry")

        assert values(metrics, "pointsman_errors_total") == {
            ("invalid_router",): 1,
            ("unknown_model",): 1,
            ("no_candidate",): 1,
            ("access_log_entry",): 1,
        }

    def test_all_codes_are_there_from_the_start(self):
        codes = {kind.code for kind in RequestError.__subclasses__()}

        found = samples(Metrics("1"))

        assert codes
        for code in codes:
            assert found["pointsman_errors_total", frozenset({("code", code)})] == 0
