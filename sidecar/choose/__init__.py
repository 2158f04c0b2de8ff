"""Routers: strategies that order targets into a plan.

A new type is one file with a `Definition` and something that ranks, and one line in `strategies`.
"""

from sidecar.choose.budgets import Spending, shown_value
from sidecar.choose.fitness import unfit
from sidecar.choose.planning import only, plan
from sidecar.choose.routers import build_router
from sidecar.choose.strategies import SELECTIVE, STRATEGIES

__all__ = [
    "SELECTIVE",
    "STRATEGIES",
    "Spending",
    "build_router",
    "only",
    "plan",
    "shown_value",
    "unfit",
]
