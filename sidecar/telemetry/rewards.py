"""What a request earns for the arm of a bandit that it was sent to."""

from collections.abc import Callable, Mapping

from sidecar.choose.bandit import ByOdds, Reward
from sidecar.telemetry.arm_sums import Values
from sidecar.telemetry.outcome import Outcome, is_blamed


def _lower(value: float, scale: float) -> float:
    return max(0.0, 1 - value / scale)


def _higher(value: float, scale: float) -> float:
    return min(1.0, value / scale)


_TERMS: Mapping[str, Callable[[float, float], float]] = {
    "latency_ms": _lower,
    "ttft_ms": _lower,
    "cost_usd": _lower,
    "tokens_per_second": _higher,
}


def reward_of(bandit: ByOdds, arm: int, outcome: Outcome, values: Values) -> float | None:
    """Return the reward of one request, from 0 to 1; ``None`` when it says nothing of the arm.

    0 when the arm did not answer, whatever it is made of: else failing quickly would pay. Otherwise
    the mean of the terms that are known, by weight: 1 for `success`, ``1 - value / scale`` for
    latency, time to first token and cost, ``value / scale`` for tokens per second, within 0..1.
    """
    if not _answered(bandit.backends[arm], outcome):
        failed = outcome.answered or is_blamed(outcome)
        return 0.0 if failed and bandit.reward.feedback is None else None
    total = weights = 0.0
    terms = _known(bandit.reward, values)
    for name, weight in bandit.reward.weights:
        if name in terms:
            total += weight * terms[name]
            weights += weight
    return total / weights if weights else None


def _answered(backends: frozenset[str], outcome: Outcome) -> bool:
    """Whether it was the arm that answered, and not what came behind it."""
    return outcome.answered and outcome.backend in backends and outcome.attempts <= len(backends)


def _known(reward: Reward, values: Values) -> dict[str, float]:
    measured = dict(values.metrics)
    if values.speed is not None and values.speed[1] > 0:
        measured["tokens_per_second"] = values.speed[0] / values.speed[1]
    found = {
        name: _TERMS[name](measured[name], scale)
        for name, scale in reward.scales
        if name in measured
    }
    return {"success": 1.0, **found}
