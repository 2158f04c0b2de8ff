"""Taking turns: nginx's order, exact shares, and circles that do not disturb each other."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.choose import plan, round_robin
from sidecar.choose.cycle import LONGEST, smooth, whole
from sidecar.model import TakeTurn
from tests.unit.choose.world import BACKENDS, build, context

NAMES = sorted(name for name, backend in BACKENDS.items() if backend.enabled)


class Counting:
    """Counts turns, as a worker does."""

    def __init__(self):
        self.taken = Counter()

    def turn(self, key):
        return self.taken[key]


def went(router, requests, memory=None, **ask):
    """The first backends of so many requests in a row."""
    memory, found = memory or Counting(), []
    for _ in range(requests):
        one = plan(router, context([], **ask)._replace(memory=memory))
        memory.taken.update(effect.key for effect in one.effects if isinstance(effect, TakeTurn))
        found.append(one.attempts[0].backend.name)
    return found


def turns(*weights, **more):
    targets = NAMES[: len(weights)]
    return build({"type": "round_robin", "targets": targets, "weights": weights, **more})


def plain(weights):
    """nginx's algorithm as it is described."""
    current, cycle = [0] * len(weights), []
    for _ in range(sum(weights)):
        current = [have + weight for have, weight in zip(current, weights, strict=True)]
        best = current.index(max(current))
        current[best] -= sum(weights)
        cycle.append(best)
    return cycle


def test_the_example_of_nginx():
    assert smooth([5, 1, 1]) == [0, 0, 1, 0, 2, 0, 0]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8))
def test_the_cycle_is_that_of_nginx(weights):
    assert smooth(weights) == plain(weights)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=7).filter(any))
def test_every_cycle_has_exactly_the_weights(weights):
    cycle = sum(whole([Fraction(weight) for weight in weights]))

    found = Counter(went(turns(*weights), 2 * cycle))

    assert [found[name] * sum(weights) for name in NAMES[: len(weights)]] == [
        2 * cycle * weight for weight in weights
    ]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([5, 1, 1], [5, 1, 1]),
        ([50, 10, 10], [5, 1, 1]),
        ([0.1, 0.2, 0.7], [1, 2, 7]),
        ([0.333, 0.667], [333, 667]),
        ([1e300, 3e300], [1, 3]),
        ([1e-300, 3e-300, 0], [1, 3, 0]),
        ([1, 1_000_000], [1, 1000]),
        ([0.123456, 0.876544], [123, 877]),
    ],
)
def test_weights_become_the_least_integers_or_rounded_ones(weights, expected):
    assert whole([Fraction(str(weight)) for weight in weights]) == expected


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=9).filter(any))
def test_rounding_takes_nobodys_turn_and_bounds_the_cycle(weights):
    found = whole([Fraction(str(weight)) for weight in weights])

    assert all((turns > 0) == (weight > 0) for turns, weight in zip(found, weights, strict=True))
    assert sum(found) <= LONGEST + len(weights)


def test_more_seats_than_the_longest_cycle_all_have_a_turn():
    weights = [Fraction(number % 7 + 1, 3) for number in range(LONGEST + 500)]

    found = whole(weights)

    assert min(found) == 1
    assert sum(found) <= 2 * len(weights)


@pytest.mark.parametrize("out", NAMES[:3])
def test_the_turns_of_one_that_is_out_are_shared_by_weight(out):
    weights = dict(zip(NAMES, [6, 3, 3], strict=False))
    left = {name: weight for name, weight in weights.items() if name != out}

    found = Counter(went(turns(*weights.values()), 4 * sum(left.values()), unready=[out]))

    assert found == {name: 4 * weight for name, weight in left.items()}


def test_requests_that_find_one_out_do_not_shift_the_turns_of_others():
    router, memory = turns(1, 1, 1), Counting()
    whole, part = [], []
    for _ in range(6):
        whole += went(router, 1, memory)
        part += went(router, 1, memory, unready=[NAMES[1]])

    assert whole == NAMES[:3] * 2
    assert part == [NAMES[0], NAMES[2]] * 3


def test_the_rest_follows_in_the_order_of_the_next_turns():
    router = turns(5, 1, 1)
    memory = Counting()
    went(router, 3, memory)

    found = plan(router, context([])._replace(memory=memory))

    a, b, c = NAMES[:3]
    assert [attempt.backend.name for attempt in found.attempts] == [a, c, b]


def key(router):
    (effect,) = plan(router, context([])).effects
    return effect.key


def test_the_key_is_that_of_the_name_the_targets_and_the_weights():
    same = [turns(1, 2, name="a"), turns(1, 2, name="a", on_error="fail")]
    others = [turns(2, 1, name="a"), turns(1, 2, name="b"), turns(1, 2, 3, name="a")]
    inline = {"type": "round_robin", "targets": NAMES[:2], "weights": [1, 2], "name": "a"}

    keys = {key(router) for router in [*others, build(inline, strict=False)]}

    assert key(same[0]) == key(same[1])
    assert len(keys | {key(same[0])}) == 5


def test_a_nested_router_takes_a_turn_only_when_it_decides():
    inner = {"type": "round_robin", "targets": ["mini", "deep"]}
    router = build({"type": "fallback", "targets": ["gemini", {"router": inner}]})

    assert went(router, 2) == ["gemini"] * 2
    assert plan(router, context([])).effects == ()
    assert went(router, 3, unready=["gemini"]) == ["mini", "deep", "mini"]


def test_what_is_kept_of_subsets_is_bounded(monkeypatch):
    monkeypatch.setattr(round_robin, "_MOST_SUBSETS", 10)
    router, memory = turns(*[1] * 5), Counting()

    for _ in range(2):
        for bits in range(1, 31):
            out = [name for place, name in enumerate(NAMES[:5]) if bits >> place & 1]
            found = went(router, 5 - len(out), memory, unready=out)
            assert sorted(found) == [name for name in NAMES[:5] if name not in out]

    assert 0 < len(router.strategy.subsets) <= 10
