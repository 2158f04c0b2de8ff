"""The statistics of experiments: pure functions of sums; no clock, no I/O, no randomness.

From sums per arm and metric (`sums`, `histogram`) to intervals that may be looked at all the time
(`intervals`), the test of the split (`srm`), guards and steps of a rollout (`guards`, `rollout`),
the shares of bandits (`bandits`, `posteriors`, `drift`), estimates from logs (`offpolicy`), and a
sentence about it all (`recommend`).
"""

from sidecar.evidence.bandits import epsilon_greedy, floored, thompson, ucb1
from sidecar.evidence.boundary import TIGHT_AT
from sidecar.evidence.drift import discounted, windowed
from sidecar.evidence.guards import Guard, Verdict, judge, judge_all, level_of
from sidecar.evidence.histogram import Histogram
from sidecar.evidence.interval import Interval
from sidecar.evidence.intervals import Arm, Statistic, difference, interval, ratio
from sidecar.evidence.offpolicy import Estimate, Logged, doubly_robust, ips, snips
from sidecar.evidence.posteriors import (
    Beta,
    Normal,
    Posterior,
    best_probabilities,
    beta,
    normals,
    probability_better,
)
from sidecar.evidence.recommend import Direction, Finding, recommend
from sidecar.evidence.rollout import Action, Evidence, Patience, Step, decide_step
from sidecar.evidence.srm import Assigned, Srm, srm, srm_over
from sidecar.evidence.sums import Moments, Proportion, Ratio, design_effect

__all__ = [
    "TIGHT_AT",
    "Action",
    "Arm",
    "Assigned",
    "Beta",
    "Direction",
    "Estimate",
    "Evidence",
    "Finding",
    "Guard",
    "Histogram",
    "Interval",
    "Logged",
    "Moments",
    "Normal",
    "Patience",
    "Posterior",
    "Proportion",
    "Ratio",
    "Srm",
    "Statistic",
    "Step",
    "Verdict",
    "best_probabilities",
    "beta",
    "decide_step",
    "design_effect",
    "difference",
    "discounted",
    "doubly_robust",
    "epsilon_greedy",
    "floored",
    "interval",
    "ips",
    "judge",
    "judge_all",
    "level_of",
    "normals",
    "probability_better",
    "ratio",
    "recommend",
    "snips",
    "srm",
    "srm_over",
    "thompson",
    "ucb1",
    "windowed",
]
