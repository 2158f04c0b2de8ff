"""The types of routers: one file and one line here for each."""

from sidecar.choose.bandit import Bandit
from sidecar.choose.conditional import Conditional
from sidecar.choose.cost import Cost
from sidecar.choose.definition import Definition
from sidecar.choose.experiment import ExperimentRouter
from sidecar.choose.fallback import Fallback
from sidecar.choose.latency import Latency
from sidecar.choose.least_busy import LeastBusy
from sidecar.choose.nearest import Nearest
from sidecar.choose.optimized import Optimized
from sidecar.choose.percentage import Percentage
from sidecar.choose.random import Random
from sidecar.choose.round_robin import RoundRobin
from sidecar.choose.schedule import Schedule
from sidecar.choose.score import Score
from sidecar.choose.script import ScriptRouter
from sidecar.choose.session import Session
from sidecar.choose.sticky import Sticky


def registry(*definitions: type[Definition]) -> dict[str, type[Definition]]:
    """Return `type` → definition; raises ValueError when two claim one name."""
    found: dict[str, type[Definition]] = {}
    for definition in definitions:
        for name in definition.names:
            if name in found:
                owners = f"{found[name].__name__} and {definition.__name__}"
                raise ValueError(f"router type {name!r} is claimed by {owners}")
            found[name] = definition
    return found


STRATEGIES = registry(
    Fallback,
    Percentage,
    Random,
    Latency,
    Optimized,
    Conditional,
    Cost,
    Score,
    LeastBusy,
    RoundRobin,
    Sticky,
    Session,
    Nearest,
    Schedule,
    ScriptRouter,
    Bandit,
    ExperimentRouter,
)

SELECTIVE = frozenset(one.names[0] for one in STRATEGIES.values() if one.selective)
"""Types that leave requests to whoever is next as a matter of course: that is no warning."""
