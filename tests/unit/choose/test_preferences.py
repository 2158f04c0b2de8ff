"""What a key prefers: little moves when arms come, go or change, and shares are kept."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.choose import plan
from sidecar.choose.rendezvous import Rendezvous
from tests.unit.choose.world import BACKENDS, build, context

NAMES = sorted(name for name, backend in BACKENDS.items() if backend.enabled)

weights = st.lists(st.integers(0, 1000), min_size=2, max_size=7)
keys = st.text(min_size=1)


def ranked(shares, key):
    """Labels in the order in which ``key`` prefers them."""
    labels = NAMES[: len(shares)]
    return [labels[place] for place in Rendezvous.of("salt", labels, shares).rank(key)]


@given(weights, keys)
def test_a_ranking_has_everybody_and_the_weightless_last(shares, key):
    found = ranked(shares, key)

    assert sorted(found) == NAMES[: len(shares)]
    heavy = [shares[NAMES.index(name)] > 0 for name in found]
    assert heavy == sorted(heavy, reverse=True)


@given(weights.filter(any), keys)
def test_the_first_of_a_ranking_is_the_one_that_is_found(shares, key):
    arms = Rendezvous.of("salt", NAMES[: len(shares)], shares)

    assert arms.rank(key)[0] == arms.find(key)


@given(weights, keys, st.data())
def test_without_one_arm_all_others_keep_their_order(shares, key, data):
    gone = data.draw(st.sampled_from(NAMES[: len(shares)]))
    labels = [name for name in NAMES[: len(shares)] if name != gone]
    arms = Rendezvous.of("salt", labels, [shares[NAMES.index(name)] for name in labels])

    part = [labels[place] for place in arms.rank(key)]

    assert part == [name for name in ranked(shares, key) if name != gone]


@given(weights, keys, st.data(), st.integers(1, 1000))
def test_raising_one_weight_moves_only_that_arm_and_only_forward(shares, key, data, more):
    place = data.draw(st.integers(0, len(shares) - 1))
    raised = [share + more * (each == place) for each, share in enumerate(shares)]

    before, after = ranked(shares, key), ranked(raised, key)

    name = NAMES[place]
    assert after.index(name) <= before.index(name)
    before.remove(name)
    after.remove(name)
    assert after == before


def sticky(targets, shares, **more):
    document = {"type": "sticky", "targets": targets, "weights": shares, "salt": "s", **more}
    return build(document)


def backends(router, user, **ask):
    found = plan(router, context([], headers={"x-user-id": user}, **ask))
    return [attempt.backend.name for attempt in found.attempts]


@given(weights.filter(any), keys, st.data())
def test_keys_of_a_target_that_is_out_go_to_their_own_second_choice(shares, key, data):
    targets = NAMES[: len(shares)]
    out = data.draw(st.sets(st.sampled_from(targets), max_size=len(targets) - 1))
    router = sticky(targets, shares)

    whole, part = backends(router, key), backends(router, key, unready=out)

    assert part == [name for name in whole if name not in out]


@given(keys)
def test_a_new_backend_of_a_provider_takes_keys_and_moves_no_others(user):
    """`openai/*` has turbo, gpt and mini; with one of them out it is as if that were new."""
    router = sticky(["openai/*", "deep"], [3, 1])

    before, after = backends(router, user, unready=["mini"]), backends(router, user)

    assert before == [name for name in after if name != "mini"]


@pytest.mark.parametrize("out", [(), ("gemini",), ("mini",), ("gpt",)])
def test_the_stated_probability_is_the_share_of_the_keys(out):
    router = sticky(["openai/*", "deep", "gemini"], [3, 1, 2])
    drawn, stated = Counter(), {}
    for number in range(6000):
        found = plan(router, context([], headers={"x-user-id": f"u{number}"}, unready=out))
        first = found.attempts[0].backend.name
        drawn[first] += 1
        stated.setdefault(first, found.probability)
        assert stated[first] == found.probability

    assert math.fsum(stated.values()) == pytest.approx(1)
    chi_square = sum((drawn[name] - 6000 * p) ** 2 / (6000 * p) for name, p in stated.items())
    assert chi_square < 18.5, (drawn, stated)  # 0.1 % of a fair hash, four degrees of freedom


@pytest.mark.parametrize("kind", ["sticky", "session"])
def test_requests_without_a_key_are_drawn_by_weight(kind):
    router = build({"type": kind, "targets": ["deep", "gemini"], "weights": [3, 1], "name": "r"})
    drawn = Counter(
        (found.attempts[0].backend.name, found.probability)
        for found in (plan(router, context(seed)) for seed in range(4000))
    )

    assert set(drawn) == {("deep", 0.75), ("gemini", 0.25)}
    assert abs(drawn["deep", 0.75] - 3000) < 4 * math.sqrt(4000 * 0.75 * 0.25)


def test_subjects_that_count_together_are_not_glued():
    router = sticky(NAMES, [1] * len(NAMES), key=["user.tenant", "user.id"])
    pairs = [("ab", "c"), ("a", "bc"), ('a","b', "c"), ("a", 'b","c')]
    pairs += [(f"t{number}", "u") for number in range(5)]

    rankings = {
        tuple(
            attempt.backend.name for attempt in plan(router, context([], headers=headers)).attempts
        )
        for headers in ({"x-tenant-id": tenant, "x-user-id": user} for tenant, user in pairs)
    }

    assert len(rankings) == len(pairs)


def test_a_long_key_is_hashed_once_and_still_tells_callers_apart():
    router = build({"type": "sticky", "targets": NAMES, "key": "body.text"})
    texts = [("x" * 1_000_000 + str(number)).encode() for number in range(4)]

    plans = [plan(router, context([], body=b'{"text":"%s"}' % text)) for text in texts]

    assert len({tuple(a.backend.name for a in one.attempts) for one in plans}) == len(texts)
