"""Which arm a request was put into, and how likely that was."""

from typing import NamedTuple


class Assignment(NamedTuple):
    """An effect of a plan: this request is in ``arm`` of ``experiment``.

    ``version`` tells runs of an experiment apart: what was learned under another one counts no
    more. ``propensity`` is the probability of this arm for this unit or draw; ``unit`` is a digest
    of the key that the choice sticks to (16 hex digits, empty when it was drawn); ``bucket`` is the
    context in which a bandit chose.
    """

    experiment: str
    version: int
    arm: str
    propensity: float
    unit: str = ""
    bucket: str = ""
