"""An hour of traffic in steps of 10 seconds."""

import math
import tracemalloc

import pytest

from sidecar.model import Price
from sidecar.telemetry.outcome import FailedAttempt, Outcome, Usage
from sidecar.telemetry.series import FIELDS, MOST_BACKENDS, STEPS, TrafficSeries
from tests.unit.telemetry.snapshots import backend

T = 1_700_000_000
ANSWER = {
    "decision_id": "019a",
    "backend": "small",
    "attempts": 1,
    "status": 200,
    "stream": True,
    "started": T,
    "duration_s": 0.51,
    "upstream_s": 0.5,
    "ttft_s": 0.1,
    "tokens": Usage(10, 20),
}
FAILED = FailedAttempt("small", "500", blamed=True)


class Hour:
    """A series with a clock that tests set."""

    def __init__(self):
        self.now = T
        self.series = TrafficSeries(lambda: self.now)
        self.series.use({"small": backend("small", price=Price(1e-6, 4e-6))})

    def answer(self, **changes):
        self.series.outcome(Outcome(**ANSWER | changes))

    def columns(self, steps=STEPS, most=10, names=()):
        return self.series.columns(steps, most, names)

    def small(self, field, steps=STEPS):
        return self.columns(steps).backends["small"][field]


@pytest.fixture
def hour():
    return Hour()


def about(milliseconds):
    return pytest.approx(milliseconds, rel=0.011)


def test_a_step_is_told_when_it_is_over(hour):
    hour.answer()
    hour.answer()
    hour.series.attempt(FAILED)
    assert hour.columns().times == []

    hour.now += 10

    found = hour.columns()
    assert found.times == [T]
    assert set(found.backends["small"]) == set(FIELDS)
    figures = {name: values[0] for name, values in found.backends["small"].items()}
    assert figures == {
        "requests": 3,
        "errors": 1,
        "tokens": 60,
        "cost_usd": pytest.approx(2 * (10e-6 + 80e-6)),
        "ttft_ms_p50": about(100),
        "ttft_ms_p95": about(100),
        "latency_ms_p50": about(500),
        "latency_ms_p95": about(500),
    }
    assert found.left_out == 0


def test_quantiles_of_a_step_are_of_its_values_and_absent_without_any(hour):
    for number in range(1, 101):
        hour.answer(upstream_s=number / 100, ttft_s=None, stream=False)
    hour.now += 20

    assert hour.small("latency_ms_p50") == [about(500), pytest.approx(math.nan, nan_ok=True)]
    assert hour.small("latency_ms_p95")[0] == about(950)
    assert math.isnan(hour.small("ttft_ms_p50")[0])


def test_steps_without_traffic_are_zeros_and_each_step_stays_in_its_place(hour):
    hour.answer()
    hour.now += 30
    hour.answer()
    hour.answer()
    hour.now += 10

    assert hour.columns().times == [T, T + 10, T + 20, T + 30]
    assert hour.small("requests") == [1, 0, 0, 2]
    assert hour.small("requests", steps=2) == [0, 2]


def test_an_hour_is_kept_and_no_more(hour):
    sent = []
    for step in range(2 * STEPS + 7):
        sent.append(1 + step % 5)
        for _ in range(sent[-1]):
            hour.answer()
        hour.now += 10

    assert hour.small("requests") == sent[-STEPS:]
    assert hour.columns().times[0] == hour.now - 3600
    assert hour.small("requests", steps=10 * STEPS) == sent[-STEPS:]


@pytest.mark.parametrize("pause", [3590, 3600, 3610, 7200, 10**6])
def test_after_a_pause_nothing_older_than_an_hour_is_left(hour, pause):
    hour.answer()
    hour.now += pause
    hour.answer()
    hour.now += 10

    assert sum(hour.small("requests")) == (2 if pause <= 3590 else 1)
    assert len(hour.columns().times) == min(STEPS, pause // 10 + 1)


def test_a_clock_that_goes_back_loses_nothing(hour):
    hour.answer()
    hour.now += 20
    hour.answer()
    hour.now -= 500
    hour.answer()
    hour.now += 510

    assert hour.small("requests") == [1, 0, 2]


def test_new_prices_and_rules_without_the_backend_leave_the_past_alone(hour):
    hour.answer()
    hour.now += 10
    hour.series.use({"small": backend("small", price=Price(2e-6, 8e-6))})
    hour.answer()
    hour.now += 10
    hour.series.use({})
    hour.answer()
    hour.now += 10

    assert hour.small("requests") == [1, 1, 1]
    assert hour.small("cost_usd") == [90e-6, 180e-6, 0]


def test_a_backend_that_is_gone_is_forgotten_after_its_hour(hour):
    hour.answer()
    hour.now += 3600
    assert "small" in hour.columns().backends
    hour.now += 10
    assert hour.columns().backends == {}


def test_the_last_minute_has_its_quantiles_up_to_now(hour):
    hour.answer(upstream_s=1.0)
    hour.now += 50
    hour.answer(upstream_s=3.0)
    hour.answer(upstream_s=3.0, backend="large")

    assert hour.series.minute()["small"].latency_ms == (about(1000), about(3000))
    assert hour.series.minute()["small"].ttft_ms == (about(100), about(100))
    assert hour.series.all_backends().latency_ms.p50 == about(3000)
    hour.now += 10
    assert hour.series.minute()["small"].latency_ms == (about(3000), about(3000))
    hour.now += 60
    assert hour.series.minute() == {}
    assert hour.series.all_backends().latency_ms == (None, None)


def test_clients_are_counted_as_they_see_it(hour):
    hour.series.attempt(FAILED)
    hour.answer(backend="large", attempts=2, duration_s=2.0)  # saved by a fallback
    hour.answer(backend="", attempts=0, status=400, error_code="invalid_json", stream=False)
    hour.answer(backend="", attempts=0, status=503, error_code="no_candidate", stream=False)
    hour.answer(status=0, client_gone=True, stream=False)
    hour.answer(undecided=True)
    hour.now += 10

    clients = {name: values[0] for name, values in hour.columns().clients.items()}
    assert (clients["requests"], clients["errors"]) == (4, 1)
    assert clients["latency_ms_p95"] == about(2000)
    assert clients["ttft_ms_p50"] == about(1600)


def test_undecided_requests_are_not_of_a_backend(hour):
    hour.answer(undecided=True)
    hour.series.attempt(FAILED._replace(undecided=True))
    hour.now += 10

    assert hour.columns().backends == {}


def test_the_busiest_are_listed_and_any_that_is_asked_for(hour):
    for name, count in (("a", 1), ("b", 3), ("c", 2)):
        for _ in range(count):
            hour.answer(backend=name)
    hour.now += 10

    assert list(hour.columns(most=2).backends) == ["b", "c"]
    assert hour.columns(most=2).left_out == 1
    assert list(hour.columns(names=["a", "ghost"]).backends) == ["a"]


def test_a_new_backend_takes_the_place_of_the_one_that_is_silent_for_longest(hour):
    for name in ("silent", "heard"):
        hour.answer(backend=name)
    hour.now += 10
    for number in range(MOST_BACKENDS - 2):
        hour.answer(backend=f"b{number}")
    hour.answer(backend="heard")
    hour.answer(backend="new")
    hour.now += 10

    found = hour.columns(most=10**6).backends
    assert len(found) == MOST_BACKENDS
    assert {"heard", "new", "b0"} <= set(found)
    assert "silent" not in found


def test_a_thousand_busy_backends_take_a_bounded_memory(hour):
    sizes = []
    tracemalloc.start()
    try:
        for step in range(10):
            for number in range(1000):
                hour.answer(backend=f"b{number}", upstream_s=0.05 * (1 + step * number % 40))
            hour.now += 10
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()

    assert sizes[-1] < 64 * 2**20
    # What a minute holds is in after six steps: from there on nothing grows.
    assert sizes[-1] < 1.02 * sizes[7]
