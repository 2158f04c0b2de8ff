"""Experiments, from documents to decisions: who is in which arm, who stays there, what is told."""

import json
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar import facts
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.decide import decide, decide_in
from sidecar.model import Assignment, Context, Entropy, Policy, Stats, Trail
from tests.unit.choose.world import Dealt

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "choose_experiment.yaml").read_text())
BACKENDS = {name: {"endpoints": ["http://127.0.0.1:1"]} for name in ("small", "large", "spare")}
OTHER = {"other": {"endpoints": ["http://127.0.0.1:1"], "priority": 1}}
CHAIN = {"type": "fallback", "targets": ["large", "spare"]}
USUAL = {
    "arms": [["control", "small", 30], ["candidate", CHAIN, 20]],
    "salt": "spring",
    "state": "running",
}
ROUTER = {"type": "experiment", "experiment": "usual"}


def experiment(**changes):
    document = {key: value for key, value in (USUAL | changes).items() if value is not None}
    keys = ("name", "router", "share")
    return document | {"arms": [dict(zip(keys, arm, strict=True)) for arm in document["arms"]]}


def rules(experiments, router=ROUTER, pins=False):
    documents = {
        "backends": BACKENDS | OTHER,
        "routers": {"stored": {"type": "fallback", "targets": ["small", "spare"]}},
        "experiments": experiments,
        "routes": {"test": {"order": 1, "router": router}, "rest": {"order": 2, "router": "other"}},
    }
    policy = Policy(variant_pins=pins)
    return compile_snapshot(Documents.of(documents), version=1, policy=policy)


def asked(headers, **body):
    content = json.dumps({"model": "any", **body}).encode()
    return facts.read("/v1/chat/completions", headers, content)


def decided(snapshot, headers, out=(), entropy=None, stats=None, **body):
    stats = stats or Stats(unready=frozenset(out))
    return decide(snapshot, stats, asked(headers, **body), entropy or Dealt([]), 1.8e9)


def arm_of(decision, name="usual"):
    found = [one for one in decision.plan.effects if isinstance(one, Assignment)]
    return next((one.arm for one in found if one.experiment == name), None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_request_is_in_this_arm(case):
    others = {name: experiment(**one) for name, one in case.get("others", {}).items()}
    usual = experiment(**case.get("experiment", {}))
    snapshot = rules(
        {"usual": usual, **others}, case.get("router", ROUTER), pins=case.get("pins", False)
    )
    entropy = Dealt(case.get("uniforms", ()))

    found = decided(
        snapshot, case.get("headers", {}), case.get("out", ()), entropy, **case.get("body", {})
    )

    plan, probability = found.plan, case.get("probability", 1.0)
    assert found.route == case.get("route", "test")
    assert [
        {one.backend.name: one.parameters} if one.parameters else one.backend.name
        for one in plan.attempts
    ] == case["plan"]
    assert plan.probability == pytest.approx(probability)
    assert plan.strategy == case.get("strategy", plan.strategy)
    assert [*found.warnings] == case.get("warnings", [])
    assert entropy.left == [], "not all of the uniforms were drawn"
    expected = []
    if "arm" in case:
        arm, unit = case["arm"]
        share = pytest.approx(case.get("propensity", probability))
        missed = case.get("missed", False)
        version = usual.get("version", 1)
        expected = [Assignment("usual", version, arm, share, unit, missed=missed)]
    assert [*plan.effects] == expected


def test_the_place_is_a_hash_that_others_can_compute():
    digest = blake2b(b'["spring"]bob', digest_size=8).hexdigest()

    (assignment,) = decided(rules({"usual": experiment()}), {"x-user-id": "bob"}).plan.effects

    assert assignment.unit == digest
    assert int(digest, 16) / 2**64 * 100 < 30


USERS = [f"user-{number}" for number in range(400)]


@given(
    st.lists(st.integers(0, 100), min_size=2, max_size=2).filter(lambda parts: sum(parts) <= 100),
    st.data(),
)
def test_a_raise_moves_users_only_into_the_arm_that_is_raised(parts, data):
    arm = data.draw(st.integers(0, 1))
    raised = [*parts]
    raised[arm] += data.draw(st.integers(0, 100 - sum(parts)))

    def arms(shares):
        pairs = zip(("control", "candidate"), ("small", "large"), shares, strict=True)
        snapshot = rules({"usual": experiment(arms=[[*pair] for pair in pairs])})
        return {user: arm_of(decided(snapshot, {"x-user-id": user})) for user in USERS}

    before, after = arms(parts), arms(raised)

    name = ("control", "candidate")[arm]
    moved = {(before[user], after[user]) for user in USERS if before[user] != after[user]}
    assert moved <= {(None, name)}


def test_arms_get_their_shares_of_users():
    found = Counter(
        arm_of(decided(rules_of_three, {"x-user-id": f"{number}"})) for number in range(4000)
    )

    assert found["a"] == pytest.approx(2000, abs=150)
    assert found["b"] == pytest.approx(800, abs=110)
    assert found[None] == pytest.approx(1200, abs=130)


rules_of_three = rules({"usual": experiment(arms=[["a", "small", 50], ["b", "large", 20]])})


@given(st.sets(st.sampled_from("abcdef"), min_size=1), st.sampled_from("abcdef"))
def test_one_more_in_a_group_takes_only_from_the_others(names, new):
    def owners(group):
        whole = [["all", "small", 100]]
        made = {name: experiment(arms=whole, group="g", salt=None) for name in group}
        targets = [{"router": {"type": "experiment", "experiment": name}} for name in sorted(group)]
        snapshot = rules(made, {"type": "fallback", "targets": [*targets, "other"]})
        return [
            [one.experiment for one in decided(snapshot, {"x-user-id": user}).plan.effects]
            for user in USERS[:100]
        ]

    before, after = owners(names - {new}), owners(names | {new})

    assert all(len(found) == 1 for found in after)
    assert all(found in (was or found, [new]) for was, found in zip(before, after, strict=True))


def test_experiments_do_not_know_of_each_other():
    whole = [["a", "small", 50], ["b", "large", 50]]
    made = {name: experiment(arms=whole, salt=None) for name in ("one", "two")}
    snapshots = [rules(made, ROUTER | {"experiment": name}) for name in made]
    pairs = Counter(
        tuple(
            arm_of(decided(snapshot, {"x-user-id": str(number)}), name)
            for snapshot, name in zip(snapshots, made, strict=True)
        )
        for number in range(2000)
    )

    assert len(pairs) == 4
    assert all(count == pytest.approx(500, abs=100) for count in pairs.values())


def test_a_router_in_a_request_may_name_an_experiment():
    snapshot = rules({"usual": experiment()}, "other")

    found = decided(snapshot, {"x-user-id": "bob"}, router=ROUTER)

    assert (found.route, found.plan.strategy) == ("(inline)", "experiment/fallback")
    assert arm_of(found) == "control"


def test_an_arm_may_hold_another_experiment_and_the_request_is_in_both():
    inner = experiment(arms=[["x", "spare", 100]], salt=None)
    outer = experiment(arms=[["control", {"type": "experiment", "experiment": "inner"}, 100]])

    found = decided(rules({"usual": outer, "inner": inner}), {"x-user-id": "bob"})

    assert (arm_of(found), arm_of(found, "inner")) == ("control", "x")


def test_a_request_that_one_arm_failed_can_be_in_the_arm_of_another_experiment():
    later = experiment(arms=[["x", "spare", 100]], salt=None)
    router = {
        "type": "fallback",
        "targets": [
            {"router": {"type": "experiment", "experiment": name}} for name in ("usual", "later")
        ],
    }

    snapshot = rules({"usual": experiment(), "later": later}, router)
    found = decided(snapshot, {"x-user-id": "bob"}, out=["small"])

    assert (arm_of(found), arm_of(found, "later")) == ("control", "x")
    assert [one.backend.name for one in found.plan.attempts] == ["spare"]


def notes_of(snapshot, headers):
    trail = Trail()
    context = Context(
        asked(headers), Stats(), Entropy(0), 1.8e9, trail=trail, warnings=[], assigned=[]
    )
    decide_in(snapshot, context)
    return trail.routers[0].notes


def test_a_trail_says_where_the_unit_is_and_where_the_arms_are():
    assert notes_of(rules({"usual": experiment()}), {"x-user-id": "bob"}) == {
        "experiment": "usual",
        "place": 12.257893,
        "unit": "1f615531e3c68313",
        "arms": {"control": [[0.0, 30.0]], "candidate": [[80.0, 100.0]]},
    }


@pytest.mark.parametrize(
    ("changes", "headers", "reason"),
    [
        ({"state": "paused"}, {"x-user-id": "bob"}, "it is in state paused"),
        ({"match": {"stream": True}}, {"x-user-id": "bob"}, "its match does not hold"),
        ({}, {}, "the request has no user.id"),
        ({}, {"x-user-id": "alice"}, "its place is left over"),
        ({"group": "g"}, {"x-user-id": "erin"}, "the key is with e of its group"),
    ],
)
def test_a_trail_says_why_a_request_is_in_no_arm(changes, headers, reason):
    snapshot = rules({"usual": experiment(**changes), "e": experiment(group="g")})

    assert notes_of(snapshot, headers)["out"] == reason


def test_a_trail_says_that_the_arm_was_pinned():
    snapshot = rules({"usual": experiment()}, pins=True)

    found = notes_of(snapshot, {"x-pointsman-variant": "candidate"})

    assert found == {"experiment": "usual", "pinned": "candidate"}
