"""Reports of experiments: pure functions from an experiment and its sums to what they say."""

from sidecar.report.build import build
from sidecar.report.figures import Learned
from sidecar.report.report import (
    ArmReport,
    Between,
    Figure,
    MetricReport,
    Report,
    RolloutReport,
)

__all__ = [
    "ArmReport",
    "Between",
    "Figure",
    "Learned",
    "MetricReport",
    "Report",
    "RolloutReport",
    "build",
]
