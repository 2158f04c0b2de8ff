"""Whatever a client writes as its router: a plan, no plan, or faults with paths; never a crash."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.choose import STRATEGIES, plan
from sidecar.errors import ConfigError, Fault, ScriptError
from sidecar.model import MAX_ATTEMPTS, Router
from tests.unit.choose.world import BACKENDS, STORED, build, context

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
known = st.sampled_from([*BACKENDS, "gpt-4o", "openai/*", *(f"router/{name}" for name in STORED)])
names = known | st.sampled_from(["nope", "router/nope"])
need_more_than_targets = {
    *("percentage", "a_b_testing", "script", "conditional", "schedule", "experiment"),
}
types = st.sampled_from(sorted(set(STRATEGIES) - need_more_than_targets))
fields = {
    "name": scalars,
    "key": st.sampled_from(["user.id", "body.a", "headers.x-none"]),
    "salt": st.text(),
    "explore": st.floats(0, 1),
    "metric": st.sampled_from(["ttft", "requests"]),
    "window": st.sampled_from(["1m", "total"]),
    "on_error": st.sampled_from(["next", "fail"]),
    "max_cost_per_token": st.floats(0, 1e6),
    "expected_output_tokens": st.integers(0, 10**9),
    "prefer": st.sampled_from(["cheapest", "fastest"]),
    "max_latency_ms": st.floats(0, 1e12),
    "max_cost_per_1m": st.floats(0, 1e12),
    "max_in_flight": st.integers(0, 9),
    "when_none": st.sampled_from(["best", "none"]),
    "algorithm": st.sampled_from(["thompson", "ucb1"]),
    "reward": st.sampled_from(["feedback:thumbs", {"success": 1, "cost_usd": 0.5}]),
    "context": st.sampled_from(["user.id", ["body.a", "user.tier"], {"prompt.tokens": [5, 50]}]),
    "floor": st.floats(0, 0.25),
    "half_life_requests": st.floats(1, 1e9),
}


def wild(inner):
    """Objects with the right keys and anything in them."""
    values = {key: right | inner for key, right in fields.items()}
    pairs = st.lists(inner, max_size=3)
    values |= {"weights": inner | pairs, "periods": pairs, "timezone": inner}
    values |= {"targets_percentages": pairs, "model_a": pairs, "model_b": inner, "router": inner}
    router = {"type": st.sampled_from(sorted(STRATEGIES)), "targets": st.lists(inner, max_size=4)}
    return (
        st.lists(inner, max_size=4)
        | st.fixed_dictionaries({"model": names | inner}, optional={"router": inner, "n": inner})
        | st.fixed_dictionaries(router, optional=values)
    )


def sound(inner):
    """Routers that are right."""
    target = known | st.fixed_dictionaries({"model": known}, optional={"n": scalars})
    target |= st.fixed_dictionaries({"router": inner}, optional={"n": scalars})
    arms = st.lists(st.tuples(target, st.floats(0.01, 5)), min_size=1, max_size=4)
    optional = fields | {"name": st.text()}
    shared = arms.map(
        lambda arms: {
            "type": "percentage",
            "targets": [target for target, _ in arms],
            "targets_percentages": [weight for _, weight in arms],
        }
    )
    extra = st.fixed_dictionaries({}, optional=optional)
    listed = st.fixed_dictionaries(
        {"type": types, "targets": st.lists(target, min_size=1, max_size=4)}
    )
    return st.builds(lambda router, more: router | more, shared | listed, extra)


@given(st.recursive(scalars | names, wild, max_leaves=12), st.booleans())
def test_what_is_wrong_is_refused_with_paths(document, strict):
    faults = refused(document, strict)

    assert faults is None or faults
    assert all(fault.path.startswith("router") for fault in faults or ())


def refused(document, strict):
    try:
        build(document, strict=strict)
    except ConfigError as error:
        return error.faults
    except ScriptError as error:
        return [Fault(error.param, error.message)]
    return None


@given(st.recursive(known, sound, max_leaves=12), st.integers(0))
def test_a_sound_router_in_a_request_gives_a_plan_or_none(document, seed):
    router = build(document, strict=False)

    found = plan(router, context(seed, headers={"x-user-id": "alice"}))

    assert isinstance(router, Router)
    assert found is None or 1 <= len(found.attempts) <= MAX_ATTEMPTS
    assert found is None or 0 < found.probability <= 1
