"""What the figures of an experiment mean, in one sentence."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from sidecar.evidence.interval import Interval
from sidecar.evidence.srm import Srm

Direction = Literal["up", "down"]
"""Where a metric is better."""


class Finding(msgspec.Struct, frozen=True):
    """What lies between candidate and control in one metric."""

    metric: str
    direction: Direction
    difference: Interval


def recommend(control: str, candidate: str, findings: Sequence[Finding], srm: Srm) -> str:
    """Return what to do about ``candidate``.

    Only intervals that leave out 0 count as a difference; with many metrics each interval needs
    its part of alpha, or one of them will leave out 0 by chance.
    """
    if srm.flag:
        return (
            f"Do not read the results: traffic did not reach the arms as the shares say "
            f"(p = {srm.p_value:.2g})."
        )
    better = [each for each in findings if _sign(each) > 0]
    worse = [each for each in findings if _sign(each) < 0]
    if better and worse:
        but = f"better than {control} in {_all(better)}, but worse in {_all(worse)}"
        return f"Weigh it up: {candidate} is {but}."
    if worse:
        return f"Stop {candidate}: it is worse than {control} in {_all(worse)}."
    if better:
        return f"Give {candidate} more traffic: it is better than {control} in {_all(better)}."
    return _undecided(control, candidate, findings)


def _undecided(control: str, candidate: str, findings: Sequence[Finding]) -> str:
    known = [each for each in findings if each.difference.low is not None]
    if not known:
        return f"Go on: too little is known of {candidate} yet."
    return (
        f"Go on: no difference between {candidate} and {control} can be told yet ({_all(known)})."
    )


def _sign(finding: Finding) -> int:
    low, high = finding.difference.low, finding.difference.high
    above = low is not None and low > 0
    below = high is not None and high < 0
    sign = int(above) - int(below)
    return sign if finding.direction == "up" else -sign


def _all(findings: Sequence[Finding]) -> str:
    return ", ".join(f"{each.metric} {_shown(each.difference)}" for each in findings)


def _shown(found: Interval) -> str:
    ends = (("?" if end is None else f"{end:+.3g}") for end in (found.low, found.high))
    return f"({' to '.join(ends)} after {found.n:,.0f})"
