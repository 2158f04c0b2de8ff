"""Promote, hold or roll back."""

import msgspec
import pytest

from sidecar.evidence import Interval, Patience, Srm, Step, Verdict, decide_step

STEPS = [1, 5, 20, 50, 100]
FINE, BROKEN = Srm(1.0, False), Srm(1e-9, True)
PATIENCE = Patience(min_exposures=500, max_exposures=5000)


def verdicts(*states):
    return [Verdict(f"m{place}", state, Interval(9), "why") for place, state in enumerate(states)]


@pytest.mark.parametrize(
    ("states", "exposures", "srm", "step", "patience", "expected"),
    [
        (["safe", "harm"], 3, FINE, 0, PATIENCE, ("roll_back", "m1: why", 0)),
        (["safe", "harm"], 900, BROKEN, 2, PATIENCE, ("roll_back", "m1: why", 0)),
        (["harm"], 900, FINE, 4, PATIENCE, ("roll_back", "m0: why", 0)),
        (
            ["safe"], 900, BROKEN, 1, PATIENCE,
            ("hold", "traffic is not split as the shares say (p = 1e-09)", 5),
        ),
        (["safe"], 499, FINE, 1, PATIENCE, ("hold", "499 of 500 exposures", 5)),
        (["safe", "safe"], 500, FINE, 1, PATIENCE, ("promote", "all guards are safe", 20)),
        ([], 500, FINE, 1, PATIENCE, ("promote", "all guards are safe", 20)),
        (["safe", "unclear"], 4999, FINE, 1, PATIENCE, ("hold", "unclear: m1", 5)),
        (
            ["safe", "unclear"], 5000, FINE, 1, PATIENCE,
            ("promote", "no harm after 5000 exposures; unclear: m1", 20),
        ),
        (["unclear"], 10**6, FINE, 1, Patience(1), ("hold", "unclear: m0", 5)),
        (["unclear"], 10**6, FINE, 3, PATIENCE, ("hold", "unclear: m0", 50)),
        (["safe"], 900, FINE, 4, PATIENCE, ("hold", "this is the last step", 100)),
        (["safe"], 900, FINE, 3, PATIENCE, ("promote", "all guards are safe", 100)),
    ],
)  # fmt: skip
def test_the_rule_of_a_step(states, exposures, srm, step, patience, expected):
    found = decide_step(STEPS, step, verdicts(*states), exposures, srm, patience)

    assert (found.action, found.reason, found.share) == expected


def test_a_step_carries_its_evidence_as_json():
    step = decide_step(STEPS, 1, verdicts("safe"), 500, FINE, PATIENCE)

    assert msgspec.json.decode(msgspec.json.encode(step), type=Step) == step
    assert step.evidence.verdicts == verdicts("safe")
