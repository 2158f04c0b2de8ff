"""From good documents to a snapshot, at once and edit by edit."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config.compile import Memo, compile_snapshot
from sidecar.config.documents import Documents
from sidecar.errors import ConfigError
from sidecar.model import BASE_HEADERS, Context, Entropy, Leaf, Policy, Stats


def backend(**fields):
    return {"endpoints": ["http://a/v1"], **fields}


GOOD = {
    "backends": {
        "small": backend(priority=1),
        "large": backend(priority=2, provider="openai", model="gpt-4o"),
        "spare": backend(priority=2),
        "off": backend(priority=0, enabled=False),
        "fourth": backend(priority=9),
    },
    "routers": {
        "canary": {
            "type": "percentage",
            "targets": ["small", "openai/*"],
            "targets_percentages": [80, 20],
            "key": "headers.x-customer",
        },
        "safe": {"type": "fallback", "targets": ["router/canary", "spare"]},
    },
    "flags": {"beta": {"share": 10, "match": {"headers.x-beta": "1"}}},
    "routes": {
        "premium": {"order": 1, "match": {"headers.x-plan": "premium"}, "router": "large"},
        "named": {"order": 2, "match": {"model": "smart"}, "router": "safe"},
        "gone": {"order": 0, "enabled": False, "match": {"headers.x-gone": "1"}, "router": "off"},
        "urgent": {
            "order": 2.5,
            "match": {"headers.x-priority": "urgent"},
            "router": {"type": "fallback", "targets": [{"model": "small", "temperature": 0}]},
        },
        "rest": {"router": "router/canary"},
    },
    "experiments": {"later": {"arms": [{"name": "one", "router": "small", "share": 1}]}},
    "budgets": {"later": {"limit": 1, "unit": "usd", "per": "day"}},
}


def compiled(configuration, version=7, **arguments):
    return compile_snapshot(Documents.of(configuration), version=version, **arguments)


def first(snapshot, model=None, **headers):
    """Name the route of a request with these headers (`x_plan` is `x-plan`)."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = SimpleNamespace(model=model, headers=headers)
    route = snapshot.routes.first(Context(request, Stats(), Entropy(1), 0.0))
    return route and route.name


def test_routes_are_tried_by_order_and_switched_off_ones_are_not():
    snapshot = compiled(GOOD)

    assert first(snapshot, x_plan="premium", x_gone="1") == "premium"
    assert first(snapshot, model="smart", x_priority="urgent") == "named"
    assert first(snapshot, x_priority="urgent") == "urgent"
    assert first(snapshot) == "rest"


def test_a_route_without_order_comes_at_100_and_equal_orders_by_name():
    routes = {name: {"router": "small"} for name in ("b", "a")} | {
        "z": {"router": "small", "order": 99.5, "match": {"model": "m"}}
    }
    snapshot = compiled(GOOD | {"routes": routes})

    assert [first(snapshot, "m"), first(snapshot)] == ["z", "a"]


def test_the_snapshot_has_backends_routers_version_and_policy():
    policy = Policy(inline_routers=False)
    snapshot = compiled(GOOD, policy=policy)

    assert list(snapshot.backends) == ["fourth", "large", "off", "small", "spare"]
    assert set(snapshot.routers) == {"canary", "safe"}
    assert (snapshot.version, snapshot.policy) == (7, policy)
    assert snapshot.catalog.router("safe") is snapshot.routers["safe"]


def test_the_default_chain_is_the_first_three_enabled_backends_by_priority_then_name():
    leaves = compiled(GOOD).default.targets

    assert [backend.name for leaf in leaves for backend in leaf.backends] == [
        "small", "large", "spare",
    ]  # fmt: skip
    assert all(isinstance(leaf, Leaf) for leaf in leaves)


def test_routes_that_name_the_same_target_share_one_router():
    routes = {name: {"router": "small"} for name in ("a", "b")}
    index = compiled(GOOD | {"routes": routes}).routes
    context = Context(SimpleNamespace(model=None, headers={}), Stats(), Entropy(1), 0.0)

    assert index.first(context).router.name == "small"


def test_headers_are_those_that_live_documents_read_sorted():
    read = {"x-plan", "x-customer", "x-beta"}

    assert compiled(GOOD).headers == tuple(sorted({*BASE_HEADERS, *read}))


@pytest.mark.parametrize("subject", ["api_key", "headers.X-Api-Key"])
def test_headers_of_keys_and_of_upper_case_names_are_read(subject):
    route = {"match": {subject: {"exists": True}}, "router": "small"}

    assert "x-api-key" in compiled(GOOD | {"routes": {"r": route}}).headers


def test_an_edit_that_reads_no_new_header_leaves_them_equal():
    more = GOOD["routes"] | {"new": {"match": {"headers.x-plan": "b"}, "router": "small"}}

    assert compiled(GOOD | {"routes": more}).headers == compiled(GOOD).headers


def test_what_is_unchanged_is_taken_over_and_the_rest_is_not():
    memo = Memo()
    before = compiled(GOOD, memo=memo)
    entries = dict(memo.entries)
    routes = GOOD["routes"] | {"rest": {"router": "large"}}
    after = compiled(GOOD | {"routes": routes}, memo=memo)

    assert after.catalog is before.catalog
    assert {name for name in entries if memo.entries[name] is not entries[name]} == {"rest"}


def test_a_backend_that_changes_changes_the_routers_that_reach_it():
    memo = Memo()
    compiled(GOOD, memo=memo)
    backends = GOOD["backends"] | {"small": backend(enabled=False)}
    snapshot = compiled(GOOD | {"backends": backends}, memo=memo)
    context = Context(SimpleNamespace(model=None, headers={}), Stats(), Entropy(1), 0.0)

    (small, _) = snapshot.routes.first(context).router.targets
    assert not small.backends[0].enabled


def test_a_flag_that_changes_changes_the_conditions_that_read_it():
    memo = Memo()
    routes = {"r": {"match": {"flags.beta": True}, "router": "small"}}
    off = GOOD | {"routes": routes, "flags": {"beta": {"enabled": False}}}
    compiled(off, memo=memo)

    assert first(compiled(off | {"flags": {"beta": {}}}, memo=memo)) == "r"


def test_refused_documents_leave_the_memo_alone():
    memo = Memo()
    good = compiled(GOOD, memo=memo)
    with pytest.raises(ConfigError):
        compiled(GOOD | {"routes": {"rest": {"router": "nobody"}}}, memo=memo)

    assert compiled(GOOD, memo=memo).catalog is good.catalog


documents = {
    "backends": st.fixed_dictionaries(
        {"endpoints": st.just(["http://a"])},
        optional={"enabled": st.booleans(), "priority": st.integers(0, 2)},
    ),
    "routers": st.fixed_dictionaries(
        {"type": st.just("fallback")} | {"targets": st.lists(st.sampled_from("abc"), min_size=1)}
    ),
    "flags": st.fixed_dictionaries({"enabled": st.booleans()}),
    "routes": st.fixed_dictionaries(
        {"router": st.sampled_from(["a", "b", "router/x", "x"])},
        optional={
            "order": st.integers(0, 2),
            "enabled": st.booleans(),
            "match": st.sampled_from(
                [{"model": "m"}, {"headers.x-a": "1"}, {"flags.f": True}, {"flags.g": True}]
            ),
        },
    ),
}
names = {"backends": "abc", "routers": "xy", "flags": "fg", "routes": "pqrs"}
edits = st.sampled_from(list(documents)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.sampled_from(names[kind]), st.none() | documents[kind])
)


def outcome(configuration, memo):
    """What a configuration comes to: answers to some questions, or faults."""
    try:
        snapshot = compiled(configuration, memo=memo)
    except ConfigError as error:
        return error.faults
    asked = [(model, {"x_a": a}) for model in (None, "m") for a in ("0", "1")]
    plain = (snapshot.digest, snapshot.headers, list(snapshot.backends.values()))
    default = [leaf.label for leaf in snapshot.default.targets]
    return plain, default, [first(snapshot, model, **headers) for model, headers in asked]


@settings(max_examples=60)
@given(st.lists(edits, max_size=12))
def test_edit_by_edit_it_comes_to_the_same_as_all_at_once(steps):
    memo, configuration = Memo(), {kind: {} for kind in documents}
    for kind, name, document in steps:
        configuration[kind].pop(name, None)
        if document is not None:
            configuration[kind][name] = json.loads(json.dumps(document))
        assert outcome(configuration, memo) == outcome(configuration, Memo())
