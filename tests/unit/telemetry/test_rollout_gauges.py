"""What Prometheus gets to see of experiments."""

from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.evidence import Srm
from sidecar.telemetry.rollout import Watched, judge_step
from sidecar.telemetry.rollout_gauges import RolloutCollector, Sources
from tests.unit.telemetry.arms import arm
from tests.unit.telemetry.test_rollout import ROLLOUT, START, experiment, record

STATS = {"control": arm(38_000, 304), "canary": arm(2000, 68)}


def seen(configured, watched, *, leads=True):
    registry = CollectorRegistry()
    sources = Sources(lambda: configured, lambda: watched, lambda: {"checkout": 2}, lambda: leads)
    registry.register(RolloutCollector(sources))
    text = generate_latest(registry).decode()
    return {
        (
            sample.name.removeprefix("pointsman_"),
            *map(sample.labels.get, _labels(sample)),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _labels(sample):
    return [name for name in ("experiment", "arm", "metric") if name in sample.labels]


def watching(stats=STATS, step=True):
    found = experiment()
    verdict = judge_step(found, ROLLOUT, record(), stats, START + 1) if step else None
    return {"checkout": Watched(found, stats, record(), Srm(0.5, flag=False), verdict)}


def test_a_rollout_under_way():
    found = seen([experiment()], watching())

    assert found["rollout_leader",] == 1
    assert found["experiment_share", "checkout", "canary"] == 5
    assert found["experiment_share", "checkout", "control"] == 95
    assert found["experiment_step", "checkout"] == 2
    assert found["experiment_srm_p_value", "checkout"] == 0.5
    assert found["experiment_rollbacks_total", "checkout"] == 2
    place = ("checkout", "canary", "error_rate")
    assert found["experiment_metric", *place] == 0.034
    assert found["experiment_metric_low", *place] < 0.034 < found["experiment_metric_high", *place]


def test_a_candidate_without_a_share_is_at_step_0():
    assert seen([experiment()], watching(step=False))["experiment_step", "checkout"] == 0


def test_what_does_not_run_has_no_share():
    stopped = replace(experiment(), state="stopped")

    assert seen([stopped], {})["experiment_share", "checkout", "control"] == 0


def test_a_node_that_does_not_lead_tells_what_is_configured_and_no_more():
    found = seen([experiment()], {}, leads=False)

    assert found["rollout_leader",] == 0
    assert {name for name, *_ in found} == {
        "rollout_leader", "experiment_share", "experiment_rollbacks_total"
    }  # fmt: skip


def test_sums_of_no_use_cost_their_own_series_only():
    broken = {"control": arm(100), "canary": arm(100)}
    broken["canary"].as_served["error_rate"].moments.total = -5
    found = seen(
        [experiment()], watching() | {"checkout": watching(broken, step=False)["checkout"]}
    )

    assert found["experiment_share", "checkout", "canary"] == 5
