"""What a request earns for its arm."""

import pytest

from sidecar.choose.bandit import bandits_in
from sidecar.model import Backend, Price
from sidecar.telemetry.arm_sums import measure
from sidecar.telemetry.outcome import Outcome
from sidecar.telemetry.rewards import reward_of
from sidecar.telemetry.usage import Usage
from tests.unit.choose.world import build

BACKEND = Backend("mini", "m", "p", price=Price(1e-5, 2e-5))
ALL = {"latency_ms": 1, "ttft_ms": 1, "cost_usd": 1, "tokens_per_second": 1}


def reward(arm=0, fields=(), **outcome):
    document = {"type": "bandit", "targets": ["mini", "gpt-4o"], **dict(fields)}
    (bandit,) = bandits_in(build(document))
    given = {"backend": "mini", "attempts": 1, "status": 200, **outcome}
    seen = Outcome(plan=("mini", "gpt"), **given)
    return reward_of(bandit, arm, seen, measure(seen, BACKEND))


def weights(**terms):
    return {"reward": terms}


def test_an_answer_of_the_arm_is_a_success():
    assert reward() == 1
    assert reward(1, backend="gpt", attempts=2) == 1, "its second backend is of the arm, too"


@pytest.mark.parametrize(
    "outcome",
    [
        {"status": 500},
        {"status": 429},
        {"status": 200, "failure": "reset"},
        {"backend": "gpt", "attempts": 2},
        {"attempts": 2},
        {"status": 0, "backend": "", "attempts": 0, "failure": "timeout"},
    ],
    ids=str,
)
@pytest.mark.parametrize("terms", [{"success": 1}, {"latency_ms": 1}], ids=str)
def test_an_arm_that_fails_earns_nothing_however_quick_it_is(outcome, terms):
    assert reward(fields=weights(**terms), upstream_s=0.001, **outcome) == 0


@pytest.mark.parametrize(
    "outcome", [{"status": 400}, {"status": 0, "client_gone": True, "backend": ""}], ids=str
)
def test_what_is_not_the_arms_fault_says_nothing(outcome):
    assert reward(**outcome) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (weights(latency_ms=2), 1 - 2 / 10),
        (weights(latency_ms=1) | {"scales": {"latency_ms": 4000}}, 0.5),
        (weights(latency_ms=1) | {"scales": {"latency_ms": 1000}}, 0.0),
        (weights(ttft_ms=1), 0.75),
        (weights(cost_usd=1), 1 - 0.004 / 0.01),
        (weights(tokens_per_second=1), 100 / 1.5 / 100),
        (weights(tokens_per_second=1) | {"scales": {"tokens_per_second": 10}}, 1.0),
        (weights(success=3, latency_ms=1), (3 + 0.8) / 4),
        (weights(success=1, latency_ms=0), 1.0),
    ],
    ids=str,
)
def test_terms_are_within_0_and_1_and_count_by_weight(fields, expected):
    measured = {"stream": True, "ttft_s": 0.5, "upstream_s": 2.0, "tokens": Usage(200, 100)}

    assert reward(fields=fields, **measured) == pytest.approx(expected)


def test_what_was_not_measured_does_not_count():
    assert reward(fields=weights(success=1, ttft_ms=9)) == 1
    assert reward(fields=weights(ttft_ms=9)) is None


@pytest.mark.parametrize("status", [200, 500])
def test_rewards_by_feedback_come_from_nowhere_else(status):
    assert reward(fields={"reward": "feedback:thumbs"}, status=status) is None
