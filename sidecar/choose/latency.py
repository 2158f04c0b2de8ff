"""`latency`: `optimized` with the metric latency, under LangDB's shorter name."""

from collections.abc import Sequence
from typing import ClassVar

from sidecar.choose.definition import Arm, Site
from sidecar.choose.optimized import Measured
from sidecar.model import Leaf, Router, Strategy


class Latency(Measured, frozen=True, kw_only=True):
    """The document of a `latency` router."""

    names: ClassVar = ("latency",)

    def strategy(
        self, _site: Site, _arms: Sequence[Arm], _targets: Sequence[Leaf | Router]
    ) -> Strategy:
        """Return the ranking by mean latency."""
        return self.by("latency")
