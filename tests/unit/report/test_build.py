"""What a report says, from fixed sums."""

import json
from pathlib import Path

import msgspec
import pytest

from sidecar.model import Arm, Metric
from sidecar.telemetry.experiments import ArmStats
from sidecar.telemetry.stretches import Record, Stretch
from tests.unit.report.learned import CANARY, NOW, arm, learned, report

GOLDEN = Path(__file__).parents[2] / "cases" / "experiment_report.json"
CONTROL = arm("control", 4000, errors=40, thumbs=(350, 500))
HEALTHY = arm("canary", 1000, errors=10, thumbs=(90, 125))
BROKEN = arm("canary", 1000, errors=60, ttft=160, thumbs=(60, 125))
PLAIN = msgspec.structs.replace(CANARY, rollout=None)


def rounded(value):
    """Return a report with digits that no other version of a library changes."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def as_json(found):
    return rounded(json.loads(msgspec.json.encode(found)))


def test_a_report_is_as_it_was_written_down():
    found = as_json(report(CONTROL, BROKEN, earlier={2: 512}))

    assert found == json.loads(GOLDEN.read_text())


def test_a_report_has_all_that_is_public():
    found = as_json(report(CONTROL, HEALTHY))

    assert {"experiment", "state", "srm", "arms", "recommendation"} <= found.keys()
    assert {"p_value", "flag"} <= found["srm"].keys()
    for each in found["arms"].values():
        assert {"assigned", "served", "metrics"} <= each.keys()
        for metric in each["metrics"].values():
            assert {"n", "estimate", "low", "high"} <= metric.keys()


def test_harm_that_a_guard_sees_is_the_advice():
    found = report(CONTROL, BROKEN)

    assert found.rollout.action == "roll_back"
    assert found.recommendation.startswith("Roll canary back: error_rate: difference ")
    assert found.against_control["canary"]["error_rate"].verdict == "worse"


def test_without_a_rollout_the_metrics_of_the_experiment_are_the_advice():
    found = report(CONTROL, BROKEN, experiment=PLAIN)

    assert found.recommendation.startswith("Stop canary: it is worse than control in thumbs")


def test_arms_that_are_alike_go_on():
    found = report(CONTROL, HEALTHY)

    assert found.recommendation.startswith("Go on: no difference between canary and control")


def test_a_failing_backend_behind_a_fallback_shows_as_served_only():
    rescued = arm("canary", 1000, errors=10, rescued=200)

    found = report(CONTROL, rescued).arms["canary"]

    assert (found.assigned, found.served) == (1000, 800)
    assert found.metrics["error_rate"].estimate == pytest.approx(0.01)
    assert found.as_served["error_rate"].estimate == pytest.approx(0.21)


def test_a_split_that_is_not_as_the_shares_say_leaves_no_other_advice():
    found = report(arm("control", 3000), arm("canary", 2000), experiment=PLAIN)

    assert found.srm.flag
    assert found.arms["canary"].expected == 1000
    assert found.recommendation.startswith("Do not read the results")


def test_shares_that_were_others_before_are_no_mismatch():
    before = {"control": ArmStats(500), "canary": ArmStats(500)}
    first = Stretch(0.0, {"control": 50, "canary": 50}, settled=True)
    record = Record((first, Stretch(9.0, {"control": 80, "canary": 20}, True, before)))
    counts = learned(CANARY, arm("control", 1300), arm("canary", 700), record=record)

    assert counts.expected() == {"control": 1300, "canary": 700}


def test_nothing_is_not_a_number_when_nobody_was_assigned():
    found = report()

    assert found.recommendation == "Wait: no request has been assigned yet."
    assert found.notes == ["No request has been assigned yet."]
    assert found.arms["canary"].metrics["thumbs"].note == "no values yet"
    assert "NaN" not in json.dumps(as_json(found))


def test_an_arm_without_requests_is_named():
    found = report(CONTROL)

    assert found.notes == ["No request has been assigned to canary yet."]
    assert found.against_control["canary"]["error_rate"].difference.estimate is None


def test_a_draft_is_told_to_start():
    draft = msgspec.structs.replace(CANARY, state="draft")

    assert report(experiment=draft).recommendation == (
        "The experiment is a draft and assigns nobody: set its state to running."
    )


def test_what_an_earlier_version_had_is_said_and_does_not_count():
    found = report(earlier={1: 20, 2: 12_000})

    assert found.notes[1:] == [
        "Version 1 had 20 requests, which do not count: this is version 3.",
        "Version 2 had 12,000 requests, which do not count: this is version 3.",
    ]


def test_of_three_arms_the_advice_is_about_those_that_can_be_told_apart():
    arms = (Arm("control", 60), Arm("good", 20), Arm("bad", 20))
    three = msgspec.structs.replace(PLAIN, arms=arms)

    found = report(
        arm("control", 3000, errors=90),
        arm("good", 1000, errors=30),
        arm("bad", 1000, errors=200),
        experiment=three,
    )

    assert found.recommendation.startswith("Stop bad: it is worse than control in error_rate")
    assert "good" not in found.recommendation
    assert found.level_between == pytest.approx(1 - 0.05 / 6)


def test_a_ratio_with_feedback_has_an_interval_at_its_widest():
    ratio = Metric("cost_per_thumb", "ratio", "decrease", "ttft_ms", "thumbs")
    priced = msgspec.structs.replace(PLAIN, metrics=(ratio,))

    figure = report(CONTROL, HEALTHY, experiment=priced).arms["control"].metrics["cost_per_thumb"]

    assert figure.estimate == pytest.approx(3960 * 99.9 / 350, rel=0.01)
    assert figure.low < figure.estimate < figure.high


def test_the_time_is_told_in_utc():
    assert NOW
    assert report().at == "2026-11-21T04:00:00+00:00"
