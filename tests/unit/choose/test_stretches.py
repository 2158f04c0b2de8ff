"""Shares are kept, and who changes arm when they change is as few as can be."""

from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sidecar.choose.stretches import stretches

LEFT_OVER = None
NEAR = 1e-6


@st.composite
def splits(draw, least=1, most=6):
    """Shares of some arms, in percent, that leave something or nothing over."""
    parts = draw(st.lists(st.integers(0, 1000), min_size=least + 1, max_size=most + 1))
    if not draw(st.booleans()):
        parts[-1] = 0
    assume(sum(parts))
    return [100 * part / sum(parts) for part in parts[:-1]]


def owners(shares):
    """Return the line as (end, arm), without holes."""
    line, at = [], 0.0
    for start, end, arm in stretches(shares):
        line += [(start, LEFT_OVER), (end, arm)] if start > at else [(end, arm)]
        at = end
    return [*line, (100.0, LEFT_OVER)]


def moves(before, after):
    """Return how much of the line goes from whom to whom."""
    found, at = Counter(), 0.0
    old, new = owners(before), owners(after)
    while old and new:
        end = min(old[0][0], new[0][0])
        if old[0][1] != new[0][1]:
            found[old[0][1], new[0][1]] += end - at
        at = max(at, end)
        old, new = ([one for one in line if one[0] > end] for line in (old, new))
    return {pair: amount for pair, amount in found.items() if amount > NEAR}


PARTS = st.integers(0, 20).map(lambda n: n / 20)
PERCENT = st.integers(0, 100).map(float)


def only(pair, amount):
    """Return what `moves` gives when ``amount`` goes from and to ``pair``, and nothing else."""
    return {pair: pytest.approx(amount, abs=NEAR)} if amount > NEAR else {}


def changed(shares, arm, by):
    return [share + by * (place == arm) for place, share in enumerate(shares)]


def left_over(shares):
    return max(0.0, 100 - sum(shares))


def in_cells(shares):
    return all(one * (len(shares) - 1) <= 100 + NEAR for one in shares[1:])


@given(splits())
def test_each_arm_gets_its_share_and_no_two_get_the_same(shares):
    found = stretches(shares)

    for arm, share in enumerate(shares):
        own = sum(end - start for start, end, owner in found if owner == arm)
        assert own == pytest.approx(share, abs=NEAR)
    ends = [0.0, *(end for _, end, _ in found)]
    assert all(start >= end - NEAR for end, (start, _, _) in zip(ends, found, strict=False))
    assert ends[-1] <= 100 + NEAR


@given(splits(most=2), st.data())
def test_with_two_arms_a_raise_moves_only_what_is_left_over_into_the_arm(shares, data):
    arm = data.draw(st.integers(0, len(shares) - 1))
    by = data.draw(PARTS) * left_over(shares)

    found = moves(shares, changed(shares, arm, by))

    assert found == only((LEFT_OVER, arm), by)


@given(PERCENT, PERCENT)
def test_with_two_arms_and_nothing_left_over_only_what_changes_hands_moves(before, after):
    found = moves([100 - before, before], [100 - after, after])

    by = after - before
    assert found == only((0, 1) if by > 0 else (1, 0), abs(by))


@given(PERCENT, st.lists(PARTS, min_size=2, max_size=5), st.data())
def test_while_there_is_room_a_raise_moves_only_what_is_left_over_into_the_arm(
    control, parts, data
):
    room = (100 - control) / len(parts)
    raised = [control, *(part * room for part in parts)]
    arm = data.draw(st.integers(0, len(parts)))
    by = data.draw(PARTS) * raised[arm]

    found = moves(changed(raised, arm, -by), raised)

    assert found == only((LEFT_OVER, arm), by)


@given(st.lists(PARTS, min_size=2, max_size=5), st.data())
def test_a_control_that_has_the_rest_only_gives_and_gets_what_changes_hands(parts, data):
    candidates = [100 * part / len(parts) for part in parts]
    place = data.draw(st.integers(0, len(parts) - 1))
    other = changed(candidates, place, data.draw(PARTS) * -candidates[place])
    by = candidates[place] - other[place]

    def whole(listed):
        return [100 - sum(listed), *listed]

    lowered, raised = whole(other), whole(candidates)

    assert moves(lowered, raised) == only((0, place + 1), by)
    assert moves(raised, lowered) == only((place + 1, 0), by)


@given(splits(), st.data())
def test_what_moves_is_bounded_whatever_changes(shares, data):
    arms = st.integers(0, len(shares) - 1)
    giver, taker = data.draw(st.none() | arms), data.draw(arms)
    assume(giver != taker)
    by = data.draw(PARTS) * (left_over(shares) if giver is None else shares[giver])
    after = changed(shares, taker, by)
    after = after if giver is None else changed(after, giver, -by)

    moved = sum(moves(shares, after).values())

    most = min(3, len(shares)) if in_cells(shares) and in_cells(after) else len(shares)
    assert moved <= most * by + NEAR


@given(splits(least=2))
def test_candidates_do_not_move_when_another_one_stays_in_its_cell(shares):
    assume(in_cells(shares))
    without = [shares[0], 0.0, *shares[2:]]

    assert all({old, new} <= {LEFT_OVER, 0, 1} for old, new in moves(shares, without))
