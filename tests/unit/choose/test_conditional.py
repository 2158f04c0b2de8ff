"""Conditional routers: which route decides, whom it asks for that, and what it counts."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from sidecar.choose import plan
from sidecar.choose.conditional.router import MAX_ROUTES
from sidecar.model import Count, Pending, Recall, Trail
from tests.unit.choose.market import Market, asked
from tests.unit.choose.world import build, faults, shown

TABLES = Path(__file__).parents[2] / "cases"
CASES = yaml.safe_load((TABLES / "choose_conditional.yaml").read_text())


class Remembered:
    """The same usage under each key; guards that were asked and what they said."""

    def __init__(self, usage=0.0, verdicts=None):
        self.used, self.verdicts, self.asked, self.keys = usage, verdicts or {}, [], []

    def usage(self, key):
        self.keys.append(key)
        return self.used

    def verdict(self, hook):
        self.asked.append(hook.guard.name)
        if hook.guard.name not in self.verdicts:
            raise Pending(hook)
        return self.verdicts[hook.guard.name]


def ask(case, **changes):
    memory = Remembered(case.get("usage", 0.0), case.get("verdicts"))
    return asked(case)._replace(memory=Recall(memory), **changes), memory


def router_of(case, **how):
    return build(case["router"], shop=Market(case.get("prices", {})), **how)


def counted(found):
    effects = found.effects if found else ()
    assert all(isinstance(effect, Count) for effect in effects)
    return [{"amount": effect.amount, "seconds": effect.seconds} for effect in effects]


DECIDED = [case for case in CASES if "plan" in case]


@pytest.mark.parametrize("case", DECIDED, ids=lambda case: case["name"])
@pytest.mark.parametrize("strict", [True, False], ids=["stored", "in a request"])
def test_a_router_gives_this_plan(case, strict):
    context, memory = ask(case)

    found = plan(router_of(case, strict=strict), context)

    assert shown(found) == case["plan"]
    assert context.entropy.left == [], "not all of the uniforms were drawn"
    assert memory.asked == case.get("asked", [])
    assert context.warnings == case.get("warnings", [])
    expected = case.get("counted", [])
    if not strict:
        expected = [{**one, "seconds": min(one["seconds"], 86400)} for one in expected]
    assert counted(found) == expected


@pytest.mark.parametrize("case", DECIDED, ids=lambda case: case["name"])
def test_a_trail_says_which_routes_held_and_changes_nothing(case):
    silent, _ = ask(case)
    told, _ = ask(case, trail=Trail())

    assert plan(router_of(case), told) == plan(router_of(case), silent)

    (note,) = told.trail.routers
    assert note.notes["routes"] == case["held"]
    assert excluded(note) == case.get("excluded", {})


def excluded(note):
    return {
        one.target: one.excluded
        for inner in note.inner
        if inner.type == "any"
        for one in inner.candidates
        if one.excluded
    }


@pytest.mark.parametrize("case", [c for c in CASES if "pending" in c], ids=lambda c: c["name"])
def test_a_guard_has_to_be_asked_first(case):
    context, memory = ask(case)

    with pytest.raises(Pending) as caught:
        plan(router_of(case), context)

    assert caught.value.hook.guard.name == case["pending"]
    assert memory.asked == case["asked"]


@pytest.mark.parametrize("case", DECIDED, ids=lambda case: case["name"])
def test_what_a_decision_read_is_enough_to_make_it_again(case):
    first, _ = ask(case)
    found = plan(router_of(case), first)
    reads = copy.copy(first.memory.reads)

    again, _ = ask(case)
    replayed = plan(router_of(case), again._replace(memory=Recall(Nothing(), reads)))

    assert replayed == found


class Nothing:
    """What is left of a memory when a decision is replayed: no counts, and guards not asked."""

    def usage(self, key):
        raise AssertionError(f"{key} was not read before")

    def verdict(self, hook):
        return {"error": "not asked"}


def decided_after_asking(router, case, verdicts):
    """Decide as a worker does: ask the guard that is pending, and decide again."""
    context, _ = ask(case)
    reads = context.memory.reads
    while True:
        try:
            return plan(router, ask(case)[0]._replace(memory=context.memory))
        except Pending as pending:
            reads["verdict", pending.hook] = verdicts[pending.hook.guard.name]


def test_deciding_again_after_each_answer_ends_with_the_decision():
    case = {"router": next(one["router"] for one in CASES if one.get("pending"))}
    no, yes = {"passed": False}, {"passed": True, "found": {"names": 1}}

    found = decided_after_asking(router_of(case), case, {"tox": no, "pii": yes})

    assert shown(found)["attempts"] == ["deep", "mini"]


def test_a_guard_gets_its_parameters_in_one_order():
    context, _ = ask({"router": CASES[0]["router"]})
    document = {"type": "conditional", "routes": [{"targets": "mini"}]}
    hooks = []
    for parameters in ({"b": 1, "a": [2]}, {"a": [2], "b": 1}):
        check = {"name": "t", "type": "guardrail", "guard_id": "tox", "parameters": parameters}
        route = {"targets": "mini", "conditions": {"pre_request.t.passed": True}}
        with pytest.raises(Pending) as caught:
            plan(build(document | {"pre_request": [check], "routes": [route]}), context)
        hooks.append(caught.value.hook)

    assert hooks[0] == hooks[1]
    assert hooks[0].parameters == '{"a":[2],"b":1}'


def limited(**fields):
    check = {"name": "rl", "type": "rate_limiter", "limit": 5, "period": "day"}
    return {
        "type": "conditional",
        "pre_request": [check | {"entity": "user_id"} | fields],
        "routes": [{"conditions": {"pre_request.rl.allowed": True}, "targets": "mini"}],
    }


def key_of(document, *, user="ann", key="", strict=True, name="r", now="2026-11-21T10:20:30Z"):
    headers = {"x-user-id": user} | ({"authorization": f"Bearer {key}"} if key else {})
    case = {"router": document, "headers": headers, "now": now}
    context, memory = ask(case)
    found = plan(build(document, strict=strict, name=name), context)
    assert [effect.key for effect in found.effects] == memory.keys
    return memory.keys[0]


def test_a_key_of_a_count_is_the_same_for_the_same_and_has_no_name_of_a_user():
    key = key_of(limited())

    assert key == key_of(limited(limit=7))
    assert key.startswith("rate:r:rl:")
    assert "ann" not in key
    assert key.endswith(":day:1795219200")


@pytest.mark.parametrize(
    "other",
    [
        {"user": "bob"},
        {"name": "s"},
        {"now": "2026-11-22T00:00:00Z"},
        {"document": limited(period="hour")},
        {"document": limited(period="month")},
        {"document": limited(period="total")},
        {"document": limited(target="cost")},
        {"document": limited(entity="headers.x-user-id")},
        {"strict": False},
    ],
    ids=str,
)
def test_what_is_counted_apart_has_another_key(other):
    document = other.pop("document", limited())

    assert key_of(document, **other) != key_of(limited())


@pytest.mark.parametrize(
    ("period", "before", "after"),
    [
        ("minute", "2026-11-21T10:20:59.999Z", "2026-11-21T10:21:00Z"),
        ("hour", "2026-11-21T10:59:59Z", "2026-11-21T11:00:00Z"),
        ("day", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
        ("month", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
        ("month", "2028-02-29T23:59:59Z", "2028-03-01T00:00:00Z"),
    ],
)
def test_a_period_ends_by_the_clock_of_utc(period, before, after):
    document = limited(period=period)

    old, new = key_of(document, now=before), key_of(document, now=after)

    assert old != new
    assert key_of(document, now=after.replace("00Z", "01Z")) == new


def test_a_limit_in_a_request_is_its_callers_own_and_keeps_no_text():
    long = {"name": "x" * 9999, "strict": False}
    one, two = (key_of(limited(), key=key, **long) for key in ("a", "b"))

    assert one != two
    assert one.startswith("rate:inline:")
    assert len(one) < 100


def test_a_check_runs_once_in_a_decision():
    document = limited()
    document["routes"] *= 9
    case = {"router": document, "headers": {"x-user-id": "ann"}, "usage": 9}
    context, memory = ask(case)

    assert plan(build(document), context) is None
    assert len(memory.keys) == 1


LANGDB = json.loads("""
{"type":"conditional",
 "pre_request":[{"name":"rl","type":"rate_limiter","limit":100,"period":"day","target":"requests","entity":"user_id"},
                {"name":"tox","type":"guardrail","guard_id":"tox"}],
 "routes":[
  {"name":"paid","conditions":{"all":[{"extra.user.tier":{"$eq":"premium"}},{"pre_request.rl.allowed":{"eq":true}}]},
   "targets":{"$any":["openai/gpt-4o","deepseek/*"],"sort_by":"ttft","sort_order":"min","filter":{"error_rate":{"lt":0.02}}}},
  {"name":"eu","conditions":{"metadata.region":{"in":["eu","uk"]}},"targets":[{"model":"gemini/gemini-2.0-flash-exp","temperature":0.2}]},
  {"name":"default","targets":"openai/gpt-4o-mini"}],
 "post_request":[]}
""")  # fmt: skip


@pytest.mark.parametrize(
    ("body", "backends"),
    [
        ('{"extra": {"user": {"id": "u", "tier": "premium"}}}', ["deep", "mini"]),
        (
            '{"extra": {"user": {"id": "u", "tags": ["premium"]}}, "metadata": {"region": "eu"}}',
            ["deep", "gemini", "mini"],
        ),
        (
            '{"extra": {"user": {"tier": "premium"}}, "metadata": {"region": "uk"}}',
            ["gemini", "mini"],
        ),
        ("{}", ["mini"]),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_a_router_of_langdb_runs_as_it_stands(body, backends, strict):
    stats = {
        "gpt": {"1m": {"requests": 100, "errors": 2, "ttft_ms": 5}},
        "deep": {"1m": {"requests": 100, "errors": 1, "ttft_ms": 9}},
    }
    context, _ = ask({"router": LANGDB, "body": body, "stats": stats})

    found = plan(build(LANGDB, strict=strict), context)

    assert [attempt.backend.name for attempt in found.attempts] == backends


FAULTS = yaml.safe_load((TABLES / "choose_conditional_faults.yaml").read_text())


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case["name"])
def test_a_wrong_router_is_refused_with_every_fault(case):
    found = faults(case["router"], strict=case.get("strict", True))

    assert len(found) == len(case["faults"])
    for fault, expected in zip(found, case["faults"], strict=True):
        kind, _, rest = expected.partition(" ")
        where, _, what = rest.partition(" ")
        if kind == "UNKNOWN":
            assert fault.startswith(f"{where}: unknown {what}")
        elif kind in {"SUBJECT", "OPERATOR"}:
            assert fault.startswith(f"{where}: unknown {kind.lower()}")
        else:
            assert fault == expected


def test_a_route_that_leads_nowhere_is_forgiven_in_a_request():
    document = {"type": "conditional", "routes": [{"name": "a"}, {"targets": []}]}
    document["routes"].append({"targets": "mini", "colour": "red", "message_mapper": {}})

    found = plan(build(document, strict=False), ask({})[0])

    assert shown(found)["attempts"] == ["mini"]


@pytest.mark.parametrize("listed", ["routes", "pre_request"])
def test_routes_and_checks_are_bounded(listed):
    check = {"name": "t", "type": "guard", "guard_id": "tox"}
    document = {"type": "conditional", "routes": [{"targets": "mini"}]}
    document[listed] = [{"targets": "mini"} if listed == "routes" else check] * (MAX_ROUTES + 1)

    assert faults(document)[0] == f"router.{listed}: more than {MAX_ROUTES}"
    assert len(faults(document)) == 1


def test_conditions_of_a_request_are_compiled_as_those_of_a_stranger():
    route = {"conditions": {"expr": "true"}, "targets": "mini"}

    found = faults({"type": "conditional", "routes": [route]}, strict=False)

    assert [fault.split(":")[0] for fault in found] == ["router.routes[0].conditions.expr"]


def test_conditions_of_a_request_are_bounded_over_all_levels():
    route = {"conditions": {"model": {"in": ["x" * 6000]}}, "targets": "mini"}
    inner = {"type": "conditional", "routes": [route] * 4}
    document = {"type": "conditional", "routes": [route, route, {"targets": inner}]}

    assert faults(document) == []
    assert faults(document, strict=False) == [
        f"router.routes[2].targets.routes[3].conditions: over {32 * 1024} bytes with those before"
    ]


def test_routers_in_routes_count_as_levels():
    document = "mini"
    for _ in range(10):
        document = {"type": "conditional", "routes": [{"targets": [{"router": document}]}]}

    (fault, *_) = faults(document)

    assert fault.endswith("nested deeper than 10")


def test_a_sticky_router_in_a_route_is_salted_by_router_and_route():
    inner = {"type": "percentage", "targets": ["mini", "deep"], "targets_percentages": [1, 1]}
    routes = [
        {"name": name, "targets": inner | {"key": "user.id"}, "conditions": {"stream": name == "a"}}
        for name in ("a", "b")
    ]
    router = build({"type": "conditional", "routes": routes})

    assert [target.name for target in router.targets] == ["test/a", "test/b"]
