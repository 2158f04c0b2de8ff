"""The whole answer to "what if", and the sentence that says it."""

import msgspec

from sidecar.whatif.comparison import Comparison, Difference
from sidecar.whatif.reward import Estimates


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """``since``: seconds that were asked for. ``oldest``, ``newest``: of the requests, Unix time.

    ``estimates`` is there when a metric was asked for.
    """

    since: float
    oldest: float | None
    newest: float | None
    comparison: Comparison
    estimates: Estimates | None = None
    sentence: str = ""


def sentence(found: Comparison, estimates: Estimates | None = None) -> str:
    """Say in one sentence, or a few, what would change."""
    if not found.records:
        return "No request was recorded in this time (POINTSMAN_DECISION_FACTS)."
    missing = ", ".join([*found.cannot_tell][:3])
    if not found.compared:
        return f"Of none of {found.records:,} requests can it be told: not recorded is {missing}."
    parts = [
        f"Of {found.compared:,} requests {found.changed_share or 0:.1%} would be decided otherwise"
    ]
    if found.compared < found.records:
        parts[0] += f" (of {found.records - found.compared:,} more it cannot be told: {missing})"
    parts += _expected(found)
    said = "; ".join(parts) + "."
    return f"{said} {_reward(estimates)}".strip()


def _expected(found: Comparison) -> list[str]:
    said = []
    if found.cost_usd.difference is not None:
        said.append(f"expected cost {_relative(found.cost_usd)}")
    if found.latency_ms.difference is not None:
        change = found.latency_ms.difference
        said.append(f"expected latency {change:+.0f} ms ({_relative(found.latency_ms)})")
    return said


def _relative(one: Difference) -> str:
    if not one.difference:
        return "unchanged"
    return f"{one.difference / one.before:+.1%}" if one.before else "new"


def _reward(estimates: Estimates | None) -> str:
    if estimates is None:
        return ""
    best = estimates.candidate[-1]
    if best.estimate is None or best.low is None or best.high is None:
        return f"About {estimates.metric} the logs cannot tell: {best.cannot_tell}."
    return (
        f"{estimates.metric} would be {best.estimate:.4g} "
        f"(95 %: {best.low:.4g} to {best.high:.4g}) instead of {estimates.logged:.4g}."
    )
