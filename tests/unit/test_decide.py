"""Whole decisions: which rule decides, what can be tried, and that nothing else enters."""

import json
from pathlib import Path

import pytest
import yaml

from sidecar import facts
from sidecar.config.compile import compile_snapshot
from sidecar.config.documents import Documents
from sidecar.decide import decide, decide_in
from sidecar.errors import RequestError
from sidecar.model import Context, Entropy, Stats, Trail

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "decisions.yaml").read_text())
NOW = 1_800_000_000.123

# Priority, tokens, capabilities.
BACKENDS = {
    "vision": (1, 100_000, ["tools", "vision"]),
    "small": (2, 1000, []),
    "huge": (50, None, ["tools"]),
    "tooled": (99, 1000, ["tools"]),
}
SNAPSHOT = compile_snapshot(
    Documents.of(
        {
            "backends": {
                name: {
                    "endpoints": ["http://127.0.0.1:1/v1"],
                    "limits": {"max_context_size": size} if size else {},
                    "capabilities": capabilities,
                    "priority": priority,
                }
                for name, (priority, size, capabilities) in BACKENDS.items()
            },
            "routes": {
                "premium": {
                    "order": 1,
                    "match": {"user.tier": "premium"},
                    "router": {"type": "fallback", "targets": ["vision", "small"]},
                },
                "other": {"order": 2, "match": {"model": "other"}, "router": "small"},
                "last": {"order": 3, "match": {"model": {"ne": "quiet"}}, "router": "huge"},
            },
        }
    ),
    version=7,
)


def asked(case):
    text = "a" * case.get("prompt_chars", 20)
    body = {"model": case.get("model", "any"), "messages": [{"role": "user", "content": text}]}
    return facts.read(
        "/v1/chat/completions",
        case.get("headers", {}),
        json.dumps(body | case.get("body", {})).encode(),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_decision(case):
    stats = Stats(unready=frozenset(case.get("out", ())))
    if "code" in case:
        with pytest.raises(RequestError) as caught:
            decide(SNAPSHOT, stats, asked(case), Entropy(1), NOW)
        assert caught.value.code == case["code"]
        assert case.get("message", "") in caught.value.message
        return

    decision = decide(SNAPSHOT, stats, asked(case), Entropy(1), NOW)

    assert decision.route == case["route"]
    assert [attempt.backend.name for attempt in decision.plan.attempts] == case["plan"]
    assert list(decision.warnings) == case.get("warnings", [])


@pytest.mark.parametrize(
    "case", [case for case in CASES if "plan" in case], ids=lambda case: case["name"]
)
def test_a_trail_changes_nothing(case):
    stats = Stats(unready=frozenset(case.get("out", ())))
    trail = Trail()

    plain = decide(SNAPSHOT, stats, asked(case), Entropy(1), NOW)
    noted = decide_in(
        SNAPSHOT, Context(asked(case), stats, Entropy(1), NOW, trail=trail, warnings=[])
    )

    assert noted == plain
    assert trail.routers[-1].order[0][1] == plain.plan.attempts[0].backend.name


def test_a_trail_tells_what_was_asked_and_what_was_left_out():
    trail = Trail()
    stats = Stats(unready=frozenset({"vision"}))
    case = {"headers": {"x-user-tier": "premium"}, "prompt_chars": 9000}

    decide_in(SNAPSHOT, Context(asked(case), stats, Entropy(1), NOW, trail=trail, warnings=[]))

    assert [(note.route, note.matched) for note in trail.routes] == [
        ("premium", True),
        ("last", True),
    ]
    assert trail.passed_over == ["premium"]
    premium, last = trail.routers
    assert [(note.backends, note.excluded) for note in premium.candidates] == [
        (["vision"], "Envoy does not have it (yet)"),
        (["small"], "about 2250 tokens are over its 1000"),
    ]
    assert last.order == [("huge", "huge")]
