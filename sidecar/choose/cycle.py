"""Smooth weighted round robin: a cycle in which everybody's turns are spread evenly."""

import math
from collections import deque
from collections.abc import Sequence
from fractions import Fraction

LONGEST = 1000
"""Turns in a cycle, unless there are more seats than that."""


def smooth(weights: Sequence[int]) -> list[int]:
    """Return the cycle of nginx's algorithm: place n has ``weights[n]`` turns in it.

    At each turn everybody gains their weight, the richest (of equals the first) has the turn and
    pays the sum of all weights. Source: "Upstream: smooth weighted round-robin balancing", nginx
    1.3.1 (2012). Those of one weight go in a circle, of which only the head is compared, so that
    a cycle costs turns times different weights, not turns times places.
    """
    total = sum(weights)
    circles: dict[int, deque[tuple[int, int]]] = {}
    for place, weight in enumerate(weights):
        if weight > 0:
            circles.setdefault(weight, deque()).append((0, place))
    cycle = []
    for turn in range(1, total + 1):
        _, _, weight = min(
            (taken * total - weight * turn, place, weight)
            for weight, ((taken, place), *_) in circles.items()
        )
        taken, place = circles[weight].popleft()
        circles[weight].append((taken + 1, place))
        cycle.append(place)
    return cycle


def whole(weights: Sequence[Fraction]) -> list[int]:
    """Return integers in the same proportions, for a cycle of bounded length.

    They are exact when their sum is at most `LONGEST`; else they are rounded to that sum, and
    nobody with a weight gets less than one turn.
    """
    common = math.lcm(*(weight.denominator for weight in weights))
    exact = [weight.numerator * (common // weight.denominator) for weight in weights]
    divisor = math.gcd(*exact) or 1
    exact = [weight // divisor for weight in exact]
    total, positive = sum(exact), sum(weight > 0 for weight in exact)
    longest = max(LONGEST, positive)
    if total <= longest:
        return exact
    return [max(1, round(Fraction(weight * longest, total))) if weight else 0 for weight in exact]
