"""The index finds the route that a scan of all routes would find."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar.match import build_index, compile_condition
from sidecar.model import Route, Router

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "routes.yaml").read_text())


class Unasked:
    """A strategy that the index has no business with."""

    def rank(self, candidates, context):
        raise AssertionError


ROUTER = Router("r", "fallback", Unasked(), ())


def route(name, order, match=None):
    if match is None:
        return Route(name, order, ROUTER)
    compiled = compile_condition(match, f"routes.{name}.match")
    return Route(name, order, ROUTER, compiled.matches, compiled.models)


DECIDED = [
    pytest.param(case["routes"], request, id=f"{case['name']}: {request}")
    for case in CASES
    for request in case["requests"]
]


@pytest.mark.parametrize(("routes", "request_"), DECIDED)
def test_the_first_route_that_matches_decides(context_of, routes, request_):
    index = build_index([route(**fields) for fields in routes])

    found = index.first(context_of(request_))

    assert (found and found.name) == request_["route"]


MODELS = st.sampled_from(["a", "b", "c"])
CONDITIONS = st.one_of(
    st.none(),
    st.fixed_dictionaries({}, optional={"model": MODELS, "user.tier": MODELS}),
    st.builds(lambda models: {"model": {"in": models}}, st.lists(MODELS)),
    st.builds(lambda model, tier: {"any": [{"model": model}, {"user.tier": tier}]}, MODELS, MODELS),
    st.builds(lambda model: {"not": {"model": model}}, MODELS),
)
ROUTES = st.lists(
    st.tuples(st.text("xyz", max_size=3), st.integers(0, 3), CONDITIONS),
    unique_by=lambda fields: fields[0],
    max_size=12,
)
REQUESTS = st.fixed_dictionaries(
    {
        "body": st.fixed_dictionaries({}, optional={"model": MODELS}),
        "headers": st.fixed_dictionaries({}, optional={"x-user-tier": MODELS}),
    }
)


@given(ROUTES, REQUESTS)
def test_the_index_agrees_with_a_scan(context_of, routes, request_):
    context = context_of(request_)
    routes = [route(*fields) for fields in routes]
    in_order = sorted(routes, key=lambda route: (route.order, route.name))
    matching = (route for route in in_order if route.matches is None or route.matches(context))

    assert build_index(routes).first(context) is next(matching, None)


def test_routes_of_other_models_and_later_routes_are_not_asked(context_of):
    asked = []

    def never(name):
        return lambda context: asked.append(name)

    routes = [
        Route("other", 1, ROUTER, never("other"), frozenset({"llama"})),
        Route("generic", 2, ROUTER, never("generic")),
        Route("own", 3, ROUTER, never("own"), frozenset({"gpt"})),
        Route("decides", 4, ROUTER, None, frozenset({"gpt"})),
        Route("later", 5, ROUTER, never("later"), frozenset({"gpt"})),
    ]
    found = build_index(routes).first(context_of({"body": {"model": "gpt"}}))

    assert (found and found.name, asked) == ("decides", ["generic", "own"])
