"""Whatever a client writes as its conditional router: a plan, none, a question, or faults."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.choose import plan
from sidecar.errors import ConfigError
from sidecar.model import MAX_ATTEMPTS, Pending, Trail
from tests.strategies import JSON
from tests.unit.choose.test_conditional import Remembered
from tests.unit.choose.world import BACKENDS, build, context

SORTS = ["price", "requests", "latency", "ttft", "tps", "error_rate"]
PERIODS = ["minute", "hour", "day", "month", "total"]
models = st.sampled_from([*BACKENDS, "openai/*", "gpt-4o", "router/cheap"])
numbers = st.integers() | st.floats(allow_nan=False)


def maybe(right, **wrong):
    """Objects in which each member is right, or anything."""
    return st.fixed_dictionaries({}, optional={key: value | JSON for key, value in right.items()})


limits = st.fixed_dictionaries(
    {
        "type": st.just("rate_limiter"),
        "limit": numbers.map(abs),
        "period": st.sampled_from(PERIODS),
        "entity": st.sampled_from(["user_id", "user_tier", "body.a", "headers.x-user-id"]),
        "target": st.sampled_from(["requests", "cost"]),
    }
)
guards = st.fixed_dictionaries(
    {"type": st.sampled_from(["guardrail", "guard"]), "guard_id": st.sampled_from(["tox", "pii"])},
    optional={"parameters": st.dictionaries(st.text(max_size=3), JSON, max_size=2)},
)
checks = st.tuples(limits | guards, limits | guards).map(
    lambda pair: [one | {"name": name} for one, name in zip(pair, ["a", "b"], strict=True)]
)
subjects = st.sampled_from(["user.id", "stream", "extra.guards.x", "metadata.k"])
operators = st.sampled_from(["eq", "$eq", "ne", "in", "gt", "contains", "exists"])
conditions = st.dictionaries(subjects, st.booleans() | st.text(max_size=3), max_size=2)
filters = st.dictionaries(
    st.sampled_from(SORTS),
    st.dictionaries(st.sampled_from(["lt", "$gte", "ne"]), numbers, min_size=1, max_size=2),
    max_size=2,
)
best = st.fixed_dictionaries(
    {"$any": st.lists(models, min_size=1, max_size=4)},
    optional={
        "sort_by": st.sampled_from(SORTS),
        "sort_order": st.sampled_from(["min", "max"]),
        "filter": filters,
        "explore": st.floats(0, 1),
    },
)
listed = st.lists(models | st.fixed_dictionaries({"model": models}), min_size=1, max_size=3)
inner = st.fixed_dictionaries({"type": st.just("random"), "targets": listed})


def asking(checks):
    """Conditions that read the checks, whichever they are, by a field that each of them has."""
    fields = {
        f"pre_request.{check['name']}.{'allowed' if 'limit' in check else 'passed'}": st.booleans()
        for check in checks
    }
    asked = st.fixed_dictionaries({}, optional=fields) | conditions
    return asked | st.fixed_dictionaries({"not": asked}) | asked.map(lambda one: {"any": [one]})


def routers(checks):
    route = st.fixed_dictionaries(
        {"targets": models | best | listed | inner},
        optional={"name": st.text(max_size=4), "conditions": asking(checks)},
    )
    return st.fixed_dictionaries(
        {
            "type": st.just("conditional"),
            "pre_request": st.just(checks),
            "routes": st.lists(route, min_size=1, max_size=4),
        },
        optional={"targets": listed, "on_error": st.sampled_from(["next", "fail"])},
    )


sound = checks.flatmap(routers)
answers = st.fixed_dictionaries(
    {}, optional={"passed": st.booleans() | JSON, "error": JSON}
) | st.just({})
anything = st.fixed_dictionaries(
    {"type": st.just("conditional")},
    optional={
        "pre_request": st.lists(
            maybe({"name": st.just("a"), "type": st.just("guard"), "guard_id": st.just("tox")})
            | maybe({"name": st.just("b"), "limit": numbers, "type": st.just("rate_limiter")})
            | JSON,
            max_size=3,
        )
        | JSON,
        "routes": st.lists(
            maybe(
                {
                    "name": st.text(max_size=3),
                    "conditions": conditions
                    | st.dictionaries(
                        st.sampled_from(["pre_request.a.passed", "pre_request.b.x", "pre_request."])
                        | subjects,
                        st.dictionaries(operators, JSON, max_size=2) | JSON,
                        max_size=2,
                    ),
                    "targets": maybe(
                        {"$any": listed, "filter": filters, "sort_by": st.just("ttft")}
                    )
                    | listed
                    | inner,
                }
            )
            | JSON,
            max_size=3,
        )
        | JSON,
        "targets": listed | JSON,
        "post_request": JSON,
    },
)


HUGE = {"name": "a", "type": "rate_limiter", "limit": 10**400, "period": "day", "entity": "user_id"}


@given(anything, st.booleans())
@example({"type": "conditional", "pre_request": [HUGE], "routes": [{"targets": "mini"}]}, True)
@example({"type": "conditional", "routes": [{"targets": {"$any": [""], "filter": {"": 1}}}]}, True)
def test_what_is_wrong_is_refused_with_paths(document, strict):
    found = refused(document, strict)

    assert found is None or found
    assert all(fault.path.startswith("router") for fault in found or ())


def refused(document, strict):
    try:
        build(document, strict=strict)
    except ConfigError as error:
        return error.faults
    return None


@given(sound, st.integers(0), numbers, answers, st.booleans())
def test_a_sound_router_gives_a_plan_or_asks(document, seed, usage, answer, strict):
    router = build(document, strict=strict)
    body = b'{"user": "ann", "a": 1, "extra": {"guards": ["x"]}, "metadata": {"k": "v"}}'
    verdicts = {"tox": answer, "pii": {"passed": True}}

    def ask(trail=None):
        made = context(seed, body=body)
        return made._replace(memory=Remembered(usage, verdicts), trail=trail)

    found = plan(router, ask())

    assert plan(router, ask(Trail())) == found
    assert found is None or 1 <= len(found.attempts) <= MAX_ATTEMPTS
    assert found is None or 0 < found.probability <= 1
    for effect in found.effects if found else ():
        assert math.isfinite(effect.amount)
        assert 0 < effect.seconds < math.inf


@given(sound, st.integers(0))
def test_with_guards_that_nobody_asked_it_never_comes_to_more_than_a_question(document, seed):
    made = context(seed, body=b'{"user": "ann"}')._replace(memory=Remembered())

    asked, found = planned(build(document), made)

    assert asked in {None, "tox", "pii"}
    assert found is None or found.attempts


def planned(router, made):
    try:
        return None, plan(router, made)
    except Pending as pending:
        return pending.hook.guard.name, None
