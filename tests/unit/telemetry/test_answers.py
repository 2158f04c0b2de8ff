from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.outcome import Outcome, Usage
from tests.unit.telemetry.rendered import ANSWER, STREAM, value, values
from tests.unit.telemetry.snapshots import usual


def counted(*outcomes):
    metrics = Metrics("1")
    metrics.use(usual())
    for fields in outcomes:
        metrics.outcome(Outcome(**fields))
    return metrics


def test_two_backends_of_one_model_have_times_and_tokens_of_their_own():
    metrics = counted(ANSWER, ANSWER, ANSWER | {"backend": "large", "upstream_s": 3.0})

    assert values(metrics, "pointsman_answer_seconds_sum") == {("small",): 0.48, ("large",): 3.0}
    assert values(metrics, "pointsman_tokens_total") == {
        ("small", "input"): 20,
        ("small", "output"): 10,
        ("large", "input"): 10,
        ("large", "output"): 5,
    }


def test_a_stream_has_a_time_to_its_first_token_and_other_answers_have_none():
    metrics = counted(STREAM, ANSWER)

    assert value(metrics, "pointsman_answer_first_token_seconds_count", backend="small") == 1
    assert value(metrics, "pointsman_answer_first_token_seconds_sum", backend="small") == 0.04


def test_what_failed_or_was_left_has_no_time_but_the_tokens_that_are_billed():
    metrics = counted(
        ANSWER | {"status": 500, "tokens": Usage()},
        ANSWER | {"client_gone": True, "tokens": Usage(10, 2, 4)},
    )

    assert values(metrics, "pointsman_answer_seconds_count") == {}
    assert values(metrics, "pointsman_tokens_total") == {
        ("small", "input"): 10,
        ("small", "output"): 2,
        ("small", "cached_input"): 4,
    }


def test_tokens_are_there_with_0_before_they_count():
    assert value(counted(), "pointsman_tokens_total", backend="small", type="output") == 0
