"""The rules and requests of benchmarks are what they claim to be."""

import msgspec
import pytest

from bench.rules import body, routes_by_model, ten_routes
from sidecar import facts
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.decide import decide
from sidecar.model import Entropy, Stats


def decided_by(documents, content):
    rules = compile_snapshot(Documents.of(documents), version=1)
    request = facts.read("/v1/chat/completions", {}, content)
    return rules, decide(rules, Stats(), request, Entropy(0), 0.0)


@pytest.mark.parametrize("size", [250, 4096, 65536, 2**20])
def test_a_body_is_a_chat_request_of_just_that_size(size):
    content = body(size)

    assert len(content) == size
    assert msgspec.json.decode(content)["messages"][-1]["role"] == "user"


@pytest.mark.parametrize("read_prompt", [True, False])
def test_all_ten_routes_are_tried_and_the_last_one_matches(read_prompt):
    rules, decision = decided_by(ten_routes("model:1", read_prompt=read_prompt), body())

    assert len(rules.route_list) == 10
    assert decision.route == max(rules.route_list, key=lambda route: route.order).name


def test_a_route_by_model_matches_its_model_and_sets_a_parameter():
    _, decision = decided_by(routes_by_model("model:1", 20), body(model="model-7"))

    assert decision.route == "route-7"
    assert dict(decision.plan.attempts[0].parameters) == {"seed": 7}
