"""Experiment documents: what is refused, what becomes of them, what must not change."""

from pathlib import Path

import msgspec
import pytest
import yaml

from sidecar.config.compile import Memo, compile_snapshot
from sidecar.config.documents import Documents
from sidecar.config.experiment_metrics import BUILT_IN, built_in
from sidecar.config.experiments import Mixtures, changes, restarted
from sidecar.errors import ConfigError
from sidecar.model import Arm, Experiment, Metric, Rollout, RolloutGuard
from sidecar.telemetry.experiments import BUILT_IN as MEASURED
from tests.unit.config.test_faults import cut

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "experiment_faults.yaml").read_text())
GPT = {"endpoints": ["http://a/v1"]}
ARMS = [
    {"name": "control", "router": "gpt", "share": 50},
    {"name": "candidate", "router": "gpt", "share": 50},
]
GOOD = {"arms": ARMS, "state": "running"}


def documents(experiments, **others):
    return Documents.of({"backends": {"gpt": GPT}, "experiments": experiments, **others})


def compiled(experiments, memo=None, **others):
    return compile_snapshot(documents(experiments, **others), version=1, memo=memo)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_every_fault_is_told_with_its_path(case):
    others = dict(case.get("documents", {}))
    experiments = {"e": GOOD | case.get("changes", {})} | others.pop("experiments", {})

    with pytest.raises(ConfigError) as raised:
        compiled(experiments, **others)

    found = [str(fault) for fault in raised.value.faults]
    assert len(found) == len(case["faults"]), found
    assert [*map(cut, found, case["faults"])] == case["faults"]


def test_a_document_says_everything_of_an_experiment():
    document = {
        "arms": ARMS,
        "key": "session",
        "salt": "s",
        "group": "g",
        "state": "paused",
        "version": 3,
        "description": "d",
        "metrics": [
            {"name": "thumbs", "kind": "proportion"},
            {"name": "cost_usd", "direction": "increase"},
            {"name": "first_p99_ms", "kind": "quantile", "of": "ttft_ms"},
            {"name": "score_p10", "kind": "quantile"},
            {"name": "dear", "kind": "ratio", "of": "cost_usd", "per": "output_tokens"},
        ],
        "rollout": {
            "steps": [1, 50],
            "guards": [{"metric": "latency_p95_ms", "max_ratio": 1.2}],
            "objective": "thumbs",
            "min_exposures": 10,
        },
    }

    assert compiled({"e": document}).experiments == {
        "e": Experiment(
            "e",
            (Arm("control", 50), Arm("candidate", 50)),
            version=3,
            state="paused",
            key="session",
            salt="s",
            group="g",
            metrics=(
                Metric("thumbs", "proportion", "increase", "thumbs"),
                Metric("cost_usd", "mean", "increase", "cost_usd"),
                Metric("first_p99_ms", "quantile", "decrease", "ttft_ms", q=0.99),
                Metric("score_p10", "quantile", "increase", "score", q=0.1),
                Metric("dear", "ratio", "decrease", "cost_usd", "output_tokens"),
                Metric("latency_p95_ms", "quantile", "decrease", "latency_ms", q=0.95),
            ),
            rollout=Rollout(
                (1, 50), (RolloutGuard("latency_p95_ms", max_ratio=1.2),), "thumbs", 10
            ),
            description="d",
        )
    }


def test_a_document_of_arms_alone_is_a_draft_with_a_salt_of_its_name_and_version():
    assert compiled({"e": {"arms": ARMS}}).experiments["e"] == Experiment(
        "e", (Arm("control", 50), Arm("candidate", 50)), salt="e 1"
    )


def test_headers_that_an_experiment_reads_are_read():
    document = GOOD | {"key": "headers.x-team", "match": {"headers.x-beta": "1"}}

    assert {"x-team", "x-beta"} <= {*compiled({"e": document}).headers}


def test_an_experiment_that_changes_changes_the_routes_that_name_it():
    memo = Memo()
    routes = {"r": {"router": {"type": "experiment", "experiment": "e"}}}
    before = compiled({"e": GOOD}, memo, routes=routes)

    after = compiled({"e": GOOD | {"state": "stopped"}}, memo, routes=routes)

    assert before.route_list[0].router is not after.route_list[0].router
    assert after.experiments["e"].state == "stopped"


def test_an_experiment_that_changes_leaves_all_other_routes_alone():
    memo = Memo()
    inner = {"router": {"type": "experiment", "experiment": "e"}}
    routers = {
        "direct": inner["router"],
        "nested": {"type": "fallback", "targets": [inner, "gpt"]},
        "plain": {"type": "fallback", "targets": ["gpt"]},
        "named": "gpt",
    }
    routes = {name: {"router": router} for name, router in routers.items()}
    before = compiled({"e": GOOD}, memo, routes=routes).route_list
    after = compiled({"e": GOOD | {"state": "stopped"}}, memo, routes=routes).route_list

    same = {new.name for old, new in zip(before, after, strict=True) if old.router is new.router}
    assert same == {"plain", "named"}


def test_an_experiment_that_changes_changes_the_stored_routers_that_name_it():
    memo = Memo()
    others = {
        "routers": {"s": {"type": "experiment", "experiment": "e"}},
        "routes": {"r": {"router": {"type": "fallback", "targets": ["router/s", "gpt"]}}},
    }
    before = compiled({"e": GOOD}, memo, **others)

    after = compiled({"e": GOOD | {"state": "stopped"}}, memo, **others)

    assert before.routers["s"] is not after.routers["s"]
    assert before.route_list[0].router is not after.route_list[0].router


def test_an_experiment_that_changes_changes_those_whose_arms_hold_it():
    memo = Memo()
    arm = {"name": "a", "router": {"type": "experiment", "experiment": "e"}, "share": 100}
    outer = {"arms": [arm], "state": "running"}
    routes = {"r": {"router": {"type": "experiment", "experiment": "outer"}}}
    before = compiled({"e": GOOD, "outer": outer}, memo, routes=routes)

    after = compiled({"e": GOOD | {"state": "stopped"}, "outer": outer}, memo, routes=routes)

    assert before.route_list[0].router is not after.route_list[0].router


def test_headers_of_an_experiment_come_and_go_with_it():
    memo = Memo()
    compiled({"e": GOOD | {"key": "headers.x-team"}}, memo)

    assert "x-team" not in compiled({"e": GOOD}, memo).headers


@pytest.mark.parametrize(
    ("name", "level"), [("ttft_p5_ms", 0.05), ("latency_p50_ms", 0.5), ("latency_p999_ms", 0.999)]
)
def test_times_have_quantiles_by_name(name, level):
    metric = built_in(name)

    assert (metric.kind, metric.direction, metric.q) == ("quantile", "decrease", level)


@pytest.mark.parametrize("name", ["ttft_p100_ms", "ttft_p0_ms", "cost_p50_usd", "thumbs", "p50"])
def test_other_names_are_not_built_in(name):
    assert built_in(name) is None


def test_what_is_built_in_is_what_is_measured():
    assert {name: metric.kind for name, metric in BUILT_IN.items()} == MEASURED


CHANGED_ARM = [ARMS[0], ARMS[1] | {"router": {"model": "gpt", "temperature": 0}}]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"key": "session"}, "key"),
        ({"salt": "other"}, "salt"),
        ({"group": "g"}, "group"),
        ({"missing": "random"}, "missing"),
        ({"arms": ARMS[:1]}, "arms"),
        ({"arms": ARMS[::-1]}, "arms"),
        ({"arms": CHANGED_ARM}, "arms"),
        ({"state": "draft"}, "state"),
        ({"state": "paused", "key": "session"}, "key"),
    ],
)
def test_an_experiment_that_has_begun_keeps_what_its_data_stands_on(change, path):
    old, new = documents({"e": GOOD}), documents({"e": GOOD | change})

    (fault,) = changes(old, new)

    assert fault.path == f"experiments.e.{path}"
    assert "raise version to 2" in fault.message


@pytest.mark.parametrize(
    "change",
    [
        {"arms": [ARMS[0] | {"share": 20}, ARMS[1] | {"share": 80}]},
        {"state": "paused"},
        {"state": "stopped"},
        {"match": {"stream": True}},
        {"metrics": [{"name": "thumbs", "kind": "proportion"}]},
        {"rollout": {"steps": [1, 5]}},
        {"description": "x"},
        {"version": 2, "key": "session", "arms": ARMS[:1]},
        {"state": "stopped", "key": "session"},
    ],
)
def test_all_else_may_change(change):
    assert changes(documents({"e": GOOD}), documents({"e": GOOD | change})) == []


def test_a_draft_may_change_and_so_may_what_comes_and_goes():
    draft = GOOD | {"state": "draft"}

    assert changes(documents({"e": draft}), documents({"e": GOOD | {"key": "session"}})) == []
    assert changes(documents({"e": GOOD}), documents({"f": GOOD})) == []


def test_what_is_over_does_not_begin_again_under_the_same_version():
    stopped = documents({"e": GOOD | {"state": "stopped"}})

    (fault,) = changes(stopped, documents({"e": GOOD}))

    assert str(fault) == "experiments.e.state: is over; raise version to 2 to run again"
    assert changes(stopped, documents({"e": GOOD | {"version": 2}})) == []


def test_a_version_does_not_go_back():
    old = documents({"e": GOOD | {"version": 3}})

    (fault,) = changes(old, documents({"e": GOOD | {"version": 2}}))

    assert str(fault) == "experiments.e.version: is lower than before; the next one is 4"


def test_documents_that_cannot_be_read_are_somebody_elses_business():
    broken = Documents(experiments={"e": b"{"})

    assert changes(documents({"e": GOOD}), broken) == []
    assert changes(broken, documents({"e": GOOD})) == []


def test_by_force_an_experiment_goes_on_under_the_next_version():
    old = documents({"e.x": GOOD | {"version": 4}, "f": GOOD})
    new = documents({"e.x": GOOD | {"version": 4, "salt": "s"}, "f": GOOD})

    again = restarted(old, new)

    assert {name: msgspec.json.decode(text) for name, text in again.items()} == {
        "e.x": GOOD | {"version": 5, "salt": "s"}
    }


def test_what_was_mixed_by_hand_is_told_until_there_is_another_version():
    good, other = documents({"e": GOOD}), documents({"e": GOOD | {"salt": "s"}})
    paused = documents({"e": GOOD | {"salt": "s", "state": "paused"}})
    next_one = documents({"e": GOOD | {"salt": "s", "version": 2}})
    mixtures = Mixtures()

    (told,) = mixtures.note(good, other)

    assert told.startswith("experiments.e.salt: has begun")
    assert mixtures.note(other, paused) == [told]
    assert mixtures.note(paused, next_one) == []
