"""One step of a rollout that drives itself: promote, hold, or roll back.

The rule, in this order:

1. A guard sees harm: **roll back**. At once: neither the number of exposures nor a sample-ratio
   mismatch is a reason to go on hurting.
2. The traffic was not split as the shares say: **hold**, since nothing can be compared.
3. It is the last step: **hold**, there is nowhere to go.
4. Fewer exposures in this step than ``min_exposures``: **hold**.
5. All guards are safe (or there are none): **promote**.
6. ``max_exposures`` is set and reached, there is still no harm, and the next step leaves the
   control some traffic: **promote**; who sets it prefers going on in doubt to waiting for
   certainty. To 100 % only rule 5 leads: beyond, nothing is left to compare with.
7. Else **hold**.

Guards are judged with confidence sequences over the whole experiment, so this may be asked after
every single request: all roll-backs together are false with probability alpha at most.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from sidecar.evidence.guards import Verdict
from sidecar.evidence.srm import Srm

Action = Literal["promote", "hold", "roll_back"]


class Patience(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many exposures of the candidate a step needs, and how many end it in doubt."""

    min_exposures: int = 0
    max_exposures: int | None = None


class Evidence(msgspec.Struct, frozen=True):
    """What a step was decided on; JSON for the history."""

    step: int
    share: float
    exposures: int
    srm: Srm
    verdicts: list[Verdict]


class Step(msgspec.Struct, frozen=True):
    """What to do now, why, and the share of the candidate after it, in percent."""

    action: Action
    reason: str
    share: float
    evidence: Evidence


def decide_step(
    steps: Sequence[float],
    step: int,
    verdicts: Sequence[Verdict],
    exposures: int,
    srm: Srm,
    patience: Patience,
) -> Step:
    """Decide what comes after ``step`` (an index into ``steps``, percentages).

    ``exposures`` are the requests that the candidate got since the step began.
    """
    following = steps[step + 1] if step + 1 < len(steps) else None
    action, reason = _ruled(following, verdicts, exposures, srm, patience)
    after = {"promote": following or 0.0, "hold": steps[step], "roll_back": 0.0}
    evidence = Evidence(step, steps[step], exposures, srm, list(verdicts))
    return Step(action, reason, after[action], evidence)


def _ruled(
    following: float | None,
    verdicts: Sequence[Verdict],
    exposures: int,
    srm: Srm,
    patience: Patience,
) -> tuple[Action, str]:
    harm = [f"{each.metric}: {each.reason}" for each in verdicts if each.state == "harm"]
    if harm:
        return "roll_back", "; ".join(harm)
    if srm.flag:
        return "hold", f"traffic is not split as the shares say (p = {srm.p_value:.2g})"
    if following is None:
        return "hold", "this is the last step"
    if exposures < patience.min_exposures:
        return "hold", f"{exposures} of {patience.min_exposures} exposures"
    return _promoted(verdicts, exposures, patience.max_exposures if following < 100 else None)


def _promoted(verdicts: Sequence[Verdict], exposures: int, most: int | None) -> tuple[Action, str]:
    unclear = [each.metric for each in verdicts if each.state == "unclear"]
    if not unclear:
        return "promote", "all guards are safe"
    if most is not None and exposures >= most:
        return "promote", f"no harm after {exposures} exposures; unclear: {', '.join(unclear)}"
    return "hold", f"unclear: {', '.join(unclear)}"
