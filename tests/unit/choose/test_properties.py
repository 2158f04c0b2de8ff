"""What holds for all routers: nothing gets lost, shares are kept, probabilities are true."""

import math
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.choose import plan
from sidecar.choose.rendezvous import Rendezvous, key_text
from sidecar.model import MISSING
from tests.unit.choose.world import BACKENDS, build, context

NAMES = sorted(name for name, backend in BACKENDS.items() if backend.enabled)

targets = st.lists(st.sampled_from(NAMES), min_size=1, max_size=len(NAMES), unique=True)
weights = st.integers(0, 1000)
unready = st.sets(st.sampled_from(NAMES))
latencies = st.dictionaries(st.sampled_from(NAMES), st.none() | st.integers(1, 5))
users = st.text(min_size=1)


@st.composite
def routers(draw):
    names = draw(targets)
    document = {"type": draw(st.sampled_from(["fallback", "random", "latency", "percentage"]))}
    document["targets"] = [*names]
    if document["type"] == "percentage":
        shares = st.lists(weights, min_size=len(names), max_size=len(names)).filter(any)
        document["targets_percentages"] = draw(shares)
    elif draw(st.booleans()):
        inner = {"type": document["type"], "targets": names[1:] or names}
        document["targets"] = [names[0], {"router": inner}]
    return document, names


def backends(found):
    return [attempt.backend.name for attempt in found.attempts] if found else []


def measured(latencies):
    return {
        name: {"1m": {"requests": 1, "latency_ms": latency}}
        for name, latency in latencies.items()
        if latency is not None
    }


@given(routers(), unready, latencies, st.integers(0))
def test_a_plan_is_a_permutation_of_the_available_backends(router, unready, latencies, seed):
    document, names = router
    ask = {"unready": unready, "stats": measured(latencies)}

    found = plan(build(document), context(seed, **ask))

    assert sorted(backends(found)) == sorted(set(names) - unready)
    assert found is None or 0 < found.probability <= 1
    assert found == plan(build(document), context(seed, **ask)), "the same seed, the same plan"


def first_of(document, uniforms, **ask):
    """Draw → (first backend, probability), for each of the uniforms."""
    router = build(document)
    found = [plan(router, context([u] if not isinstance(u, list) else u, **ask)) for u in uniforms]
    return [(one.attempts[0].backend.name, one.probability) for one in found]


def integrated(document, steps, **ask):
    """First backend → (measure of the draws that lead to it, stated probability)."""
    grid = [(k + 0.5) / steps for k in range(steps)]
    drawn = Counter(first_of(document, grid, **ask))
    return {name: (count / steps, stated) for (name, stated), count in drawn.items()}


@pytest.mark.parametrize("out", [set(), {"gemini"}, {"mini"}, {"mini", "gemini"}])
def test_the_draws_of_a_percentage_have_exactly_the_stated_measure(out):
    document = {
        "type": "percentage",
        "targets": ["mini", "deep", "gemini", "custom"],
        "targets_percentages": [1, 20, 64, 15],
    }

    found = integrated(document, 1000, unready=out)

    assert set(found) == set(document["targets"]) - out
    assert all(measure == pytest.approx(stated, abs=1e-12) for measure, stated in found.values())
    assert sum(stated for _, stated in found.values()) == pytest.approx(1)


@pytest.mark.parametrize("warm", [["mini"], ["mini", "deep"], [], ["deep", "gemini", "mini"]])
def test_the_draws_of_exploration_have_exactly_the_stated_measure(warm):
    document = {"type": "latency", "targets": ["mini", "deep", "gemini", "custom"], "explore": 0.3}
    stats = {name: {"1m": {"requests": 1, "latency_ms": 5}} for name in warm}

    found = integrated(document, 1200, stats=stats)

    assert all(measure == pytest.approx(stated, abs=1e-12) for measure, stated in found.values())
    assert sum(stated for _, stated in found.values()) == pytest.approx(1)
    assert set(document["targets"]) - set(warm) <= set(found), "no cold target starves"


def test_every_order_of_a_random_router_has_the_same_measure():
    document = {"type": "random", "targets": ["mini", "deep", "gemini"]}
    grid = [[(i + 0.5) / 6, (j + 0.5) / 6] for i in range(6) for j in range(6)]
    router = build(document)

    orders = Counter(tuple(backends(plan(router, context(u)))) for u in grid)

    assert list(orders.values()) == [6] * math.factorial(3)


@given(routers().filter(lambda one: one[0]["type"] == "percentage"), unready, st.integers(0))
def test_an_arm_that_is_out_shifts_no_other_assignment(router, unready, seed):
    document, _ = router
    whole, part = (plan(build(document), context(seed, unready=out)) for out in ((), unready))

    if part and backends(whole)[0] not in unready:
        assert backends(part)[0] == backends(whole)[0]


@given(st.lists(weights, min_size=2, max_size=6).filter(any), st.data(), users)
def test_an_arm_that_is_out_shifts_no_sticky_assignment(shares, data, user):
    out = data.draw(st.sampled_from(NAMES[: len(shares)]))
    router = sticky(shares)
    whole, part = (plan(router, keyed(user, unready=names)) for names in ((), {out}))

    if backends(whole)[0] != out:
        assert backends(part)[0] == backends(whole)[0]


def sticky(shares):
    return build(
        {
            "type": "percentage",
            "targets": NAMES[: len(shares)],
            "targets_percentages": shares,
            "key": "headers.x-user-id",
        }
    )


def keyed(user, **ask):
    return context([], headers={"x-user-id": user}, **ask)


@given(
    st.lists(weights, min_size=2, max_size=6).filter(any),
    st.integers(0, 5),
    st.integers(1, 1000),
    st.lists(users, min_size=20, max_size=20),
)
def test_raising_a_share_moves_keys_only_into_the_raised_arm(shares, arm, more, people):
    arm %= len(shares)
    raised = [share + more * (place == arm) for place, share in enumerate(shares)]
    before, after = sticky(shares), sticky(raised)

    for user in people:
        old, new = (backends(plan(router, keyed(user)))[0] for router in (before, after))
        assert new in {old, NAMES[arm]}


def test_raising_a_share_from_one_to_twenty_percent_moves_nineteen_percent_of_the_keys():
    people = [f"user-{number}" for number in range(10_000)]
    before, after = (Rendezvous.of("s", ["old", "new"], w) for w in ([99, 1], [80, 20]))

    moved = sum(before.find(user) != after.find(user) for user in people)

    # Four standard deviations of a binomial; the hash is fixed, so this is not a matter of luck.
    assert abs(moved - 1900) < 4 * math.sqrt(10_000 * 0.19 * 0.81)


def test_a_sticky_router_in_a_sticky_router_draws_anew():
    inner = {"type": "percentage", "targets": ["mini", "deep"], "key": "user.id"}
    inner["targets_percentages"] = [1, 1]
    outer = inner | {"targets": ["mini", {"router": inner}]}
    router = build(outer)

    plans = [plan(router, keyed(f"user-{number}")) for number in range(2000)]
    under = Counter(backends(one)[0] for one in plans if one.strategy == "percentage/percentage")

    assert abs(under.total() - 1000) < 4 * math.sqrt(2000 * 0.25)
    assert abs(under["mini"] - under.total() / 2) < 4 * math.sqrt(under.total() * 0.25)


def test_rounding_makes_no_probability_more_than_one():
    others = [{"model": "mini", "n": number} for number in range(9)]
    document = {"type": "percentage", "targets": ["deep", *others]}
    document["targets_percentages"] = [0.1] * 10

    found = plan(build(document), context([0.5], unready={"mini"}))

    assert found.probability == 1.0


def test_keys_fall_into_arms_by_their_weights():
    people = [f"user-{number}" for number in range(10_000)]
    arms = Rendezvous.of("salt", ["a", "b", "a"], [5, 3, 2])

    found = Counter(arms.find(user) for user in people)

    expected = {0: 5000, 1: 3000, 2: 2000}
    chi_square = sum((found[place] - n) ** 2 / n for place, n in expected.items())
    assert chi_square < 13.8, found  # 0.1 % of a fair hash, two degrees of freedom


def test_an_assignment_is_the_same_on_every_machine_and_in_every_release():
    arms = Rendezvous.of("spring", ["mini", "deep", "mini"], [1, 1, 1])

    found = [arms.find(user) for user in ("alice", "bob", "carol", "Zoë", "\ud800")]

    # Worked out by hand from the formula in Rendezvous: a change here reassigns everybody's users.
    assert found == [1, 0, 1, 0, 2]


@given(st.text() | st.integers() | st.floats() | st.booleans())
@example(float("nan"))
def test_a_key_that_has_a_text_can_be_hashed(value):
    text = key_text(value)

    assert text is None or Rendezvous.of("s", ["a", "b"], [1, 1]).find(text) in {0, 1}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("42", "42"),
        (42, "42"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        ("", None),
        (None, None),
        (MISSING, None),
        ([1], None),
        ({"a": 1}, None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_only_scalars_are_keys(value, text):
    assert key_text(value) == text


def test_a_number_that_is_too_long_to_print_is_no_key():
    assert key_text(10**5000) is None
