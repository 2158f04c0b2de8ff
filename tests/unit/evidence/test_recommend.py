"""One sentence."""

import pytest

from sidecar.evidence import Finding, Interval, Srm, recommend

FINE = Srm(0.8, False)
ERRORS_UP = Finding("error_rate", "down", Interval(4000, 0.02, 0.01, 0.03))
ERRORS_DOWN = Finding("error_rate", "down", Interval(4000, -0.02, -0.03, -0.01))
LIKED = Finding("liked", "up", Interval(4000, 0.05, 0.02, 0.08))
OPEN = Finding("cost", "down", Interval(4000, 0.0, -0.1, 0.1))
UNKNOWN = Finding("cost", "down", Interval(3))


@pytest.mark.parametrize(
    ("findings", "srm", "expected"),
    [
        (
            [LIKED], Srm(1e-6, True),
            (
                "Do not read the results: traffic did not reach the arms as the shares say "
                "(p = 1e-06)."
            ),
        ),
        (
            [LIKED, OPEN], FINE,
            "Give b more traffic: it is better than a in liked (+0.02 to +0.08 after 4,000).",
        ),
        (
            [ERRORS_DOWN], FINE,
            "Give b more traffic: it is better than a in error_rate (-0.03 to -0.01 after 4,000).",
        ),
        (
            [ERRORS_UP], FINE,
            "Stop b: it is worse than a in error_rate (+0.01 to +0.03 after 4,000).",
        ),
        (
            [LIKED, ERRORS_UP], FINE,
            (
                "Weigh it up: b is better than a in liked (+0.02 to +0.08 after 4,000), "
                "but worse in error_rate (+0.01 to +0.03 after 4,000)."
            ),
        ),
        (
            [OPEN, UNKNOWN], FINE,
            (
                "Go on: no difference between b and a can be told yet "
                "(cost (-0.1 to +0.1 after 4,000))."
            ),
        ),
        ([UNKNOWN], FINE, "Go on: too little is known of b yet."),
        ([], FINE, "Go on: too little is known of b yet."),
    ],
)  # fmt: skip
def test_the_sentence(findings, srm, expected):
    assert recommend("a", "b", findings, srm) == expected
