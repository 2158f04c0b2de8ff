"""Whose failure it was: what the client saw, and what the arm's own first backend did."""

import pytest

from sidecar.model import Assignment
from sidecar.telemetry.arm_sums import ArmSums, measure
from sidecar.telemetry.experiments import parse
from sidecar.telemetry.outbox import Stamp
from sidecar.telemetry.outcome import Outcome

ASKED = {
    "decision_id": "019a",
    "plan": ("canary", "small"),
    "assignments": (Assignment("checkout", 1, "next", 0.2, "9f86d081884c7d65"),),
}


def rates(**fields):
    """Return the error rate of one request: as the client saw it, and as the arm did."""
    sums, outcome = ArmSums("p:", lambda *_: None), Outcome(**{**ASKED, **fields})
    sums.add(outcome, measure(outcome, None))
    (call,) = sums.take(lambda: Stamp("n", "life", 1))
    flat = call.arguments[4:]
    arm = parse(dict(zip(flat[::2], flat[1::2], strict=True)))["next"]
    scopes = (arm.metrics, arm.as_served)
    return [scope["error_rate"].moments.mean for scope in scopes if "error_rate" in scope]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"backend": "canary", "attempts": 1, "status": 200}, [0, 0]),
        ({"backend": "small", "attempts": 2, "status": 200}, [0, 1]),
        ({"backend": "small", "attempts": 1, "status": 200}, [0, 1]),
        ({"backend": "small", "attempts": 2, "status": 503}, [1, 1]),
        ({"backend": "canary", "attempts": 1, "status": 503}, [1, 1]),
        ({"backend": "canary", "attempts": 1, "status": 400}, [0, 0]),
        ({"backend": "canary", "attempts": 1, "client_gone": True}, []),
    ],
)
def test_a_request_that_a_fallback_saved_is_a_failure_of_the_arm(fields, expected):
    assert rates(**fields) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"plan": ("small",), "backend": "small", "attempts": 1, "status": 200}, [0, 1]),
        ({"plan": (), "status": 503, "error_code": "no_candidate"}, [1, 1]),
    ],
)
def test_an_arm_that_had_nothing_to_try_has_failed_whoever_answered(fields, expected):
    (one,) = ASKED["assignments"]

    assert rates(assignments=(one._replace(missed=True),), **fields) == expected
