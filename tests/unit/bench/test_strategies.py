"""The benchmark of strategies measures what its rows claim."""

import pytest

from bench.rules import body
from bench.strategies import TARGETS, kinds, rules
from sidecar import facts
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.decide import decide
from sidecar.model import Entropy, Stats


@pytest.fixture(scope="module")
def snapshot():
    return compile_snapshot(Documents.of(rules("model:1", TARGETS)), version=1)


@pytest.mark.parametrize("kind", [*kinds(), "expr"])
def test_a_row_is_decided_by_its_own_router_over_all_targets(snapshot, kind):
    request = facts.read("/v1/chat/completions", {"x-user-id": "bench"}, body(model=kind))

    decision = decide(snapshot, Stats(), request, Entropy(0), 1.8e9)

    assert decision.route == kind
    assert decision.warnings == ()
    assert decision.plan.strategy.partition("/")[0] == ("fallback" if kind == "expr" else kind)
    assert len(decision.plan.attempts) == TARGETS
