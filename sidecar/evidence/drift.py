"""Sums that forget: of arms that change while they are watched.

Sums are kept per slot of time (slot = time // length of a slot), which nodes can add up; old
values fade when they are read, so that nothing has to be rewritten as time passes.
"""

from collections.abc import Mapping

from sidecar.evidence.sums import Sums, summed


def windowed(slots: Mapping[int, Sums], now: int, length: int, empty: Sums) -> Sums:
    """Return the sums of the last ``length`` slots, ``now`` included."""
    recent = (sums for slot, sums in slots.items() if now - length < slot <= now)
    return summed(recent, empty)


def discounted(slots: Mapping[int, Sums], now: int, half_life: float, empty: Sums) -> Sums:
    """Return the sums with each slot weighing half as much ``half_life`` slots later.

    A slot of a node whose clock is ahead weighs as much as the present one.
    """
    aged = (sums.scaled(0.5 ** (max(now - slot, 0) / half_life)) for slot, sums in slots.items())
    return summed(aged, empty)
