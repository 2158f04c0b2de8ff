"""What a rollout's statistics come to."""

import pytest
from msgspec.structs import replace

from sidecar.model import Arm, Experiment, Metric, Rollout, RolloutGuard
from sidecar.telemetry.rollout import figures, judge_step, ladder, sentence
from sidecar.telemetry.stretches import followed
from tests.unit.telemetry.arms import arm, measured

ERRORS = RolloutGuard("error_rate", max_increase=0.01)
ROLLOUT = Rollout((1, 5, 20, 50, 100), (ERRORS,), min_exposures=500)
START = 1000.0


def experiment(share=5.0, rollout=ROLLOUT, metrics=()):
    arms = (Arm("control", 100 - share), Arm("canary", share))
    return Experiment("checkout", arms, state="running", metrics=metrics, rollout=rollout)


def record(share=5.0):
    return followed(None, {"control": 100 - share, "canary": share}, {}, {}, START)


def judged(stats, share=5.0, now=START + 100, **fields):
    rollout = replace(ROLLOUT, **{key: fields.pop(key) for key in list(fields) if key != "metrics"})
    found = experiment(share, rollout, **fields)
    return judge_step(found, rollout, record(share), stats, now)


def pair(errors=0, n=2000, share=0.05, control=0):
    return {"control": arm(round(n / share * (1 - share)), control), "canary": arm(n, errors)}


def test_a_canary_that_errs_no_more_than_the_control_is_promoted_to_the_next_step():
    step = judged(pair())

    assert (step.action, step.share, step.evidence.step) == ("promote", 20, 1)


def test_a_canary_that_fails_is_rolled_back_before_it_has_its_exposures():
    step = judged(pair(errors=8, n=40))

    assert (step.action, step.share) == ("roll_back", 0)


def test_failures_that_a_fallback_saved_count():
    stats = pair(n=2000)
    stats["canary"].as_served["error_rate"] = measured([1.0] * 200 + [0.0] * 1800)

    assert stats["canary"].metrics["error_rate"].moments.total == 0
    assert judged(stats).action == "roll_back"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"automatic": False}, "held by hand; else: promote, all guards are safe"),
        ({"hold_seconds": 600.0}, "100 of 600 seconds"),
        ({"min_exposures": 3000}, "2000 of 3000 exposures"),
    ],
)
def test_what_holds_a_promotion(fields, reason):
    step = judged(pair(), **fields)

    assert (step.action, step.share, step.reason) == ("hold", 5, reason)


def test_a_held_rollout_is_still_rolled_back():
    assert judged(pair(errors=40, n=100), automatic=False).action == "roll_back"


def test_a_step_counts_only_what_came_since_its_stragglers_were_in():
    stats = pair(n=600, share=0.01)
    fresh = followed(record(1.0), {"control": 95.0, "canary": 5.0}, stats, stats, START + 50)

    waiting = judge_step(experiment(), ROLLOUT, fresh, stats, START + 51)
    assert waiting.reason == "0 of 500 exposures"

    settled = followed(fresh, {"control": 95.0, "canary": 5.0}, stats, stats, START + 60)
    later = {"control": arm(59_400 + 5700), "canary": arm(900)}
    step = judge_step(experiment(), ROLLOUT, settled, later, START + 90)
    assert step.reason == "300 of 500 exposures"


def test_an_hour_in_which_all_fail_is_not_held_against_the_canary_that_just_got_more():
    """Simpson: 1 % errors while the canary has 1 %, then 20 % of everything while it has half."""
    calm = {"control": arm(99_000, 990), "canary": arm(1000, 10)}
    storm = {"control": arm(104_000, 1990), "canary": arm(6000, 1010)}
    began = record(1.0)
    both = followed(began, {"control": 50.0, "canary": 50.0}, calm, calm, START + 50)

    together = judge_step(experiment(50.0), ROLLOUT, record(50.0), storm, START + 60)
    assert together.action == "roll_back"
    apart = judge_step(experiment(50.0), ROLLOUT, both, storm, START + 60)
    assert apart.action == "hold"


def test_a_candidate_that_turns_bad_after_a_good_week_is_judged_by_its_step():
    """A third of its requests fail for a minute; of all that it ever had that is a hundredth."""
    week = {"control": arm(95_000, 95), "canary": arm(5000, 5)}
    minute = {"control": arm(95_640, 96), "canary": arm(5160, 60)}
    shares = {"control": 80.0, "canary": 20.0}
    now = followed(record(), shares, week, week, START + 50)

    step = judge_step(experiment(20.0), ROLLOUT, now, minute, START + 60)
    assert step.action == "roll_back"
    assert step.reason.startswith("error_rate: in this step, difference 0.")
    whole = judge_step(experiment(20.0), ROLLOUT, record(20.0), minute, START + 60)
    assert whole.action == "hold"


def test_all_guards_and_the_objective_share_alpha():
    """Just about harm for one guard is not yet harm for one of ten."""
    stats = pair(errors=100, n=2000, control=760)
    more = tuple(RolloutGuard("error_rate", max_increase=0.9) for _ in range(19))

    assert judged(stats).action == "roll_back"
    assert judged(stats, guards=(ERRORS, *more)).action == "hold"


def test_a_quantile_is_guarded_by_its_histogram():
    metric = Metric("ttft_p95_ms", "quantile", "decrease", "ttft_ms", q=0.95)
    guard = RolloutGuard("ttft_p95_ms", max_ratio=1.2)
    stats = pair(n=3000)
    stats["control"].metrics["ttft_ms"] = measured([100.0] * 5700 + [200.0] * 300)
    stats["canary"].metrics["ttft_ms"] = measured([100.0] * 2400 + [900.0] * 600)

    step = judged(stats, guards=(guard,), metrics=(metric,))
    assert (step.action, step.evidence.verdicts[0].metric) == ("roll_back", "ttft_p95_ms")


def test_the_last_step_waits_until_the_objective_is_known_to_be_better():
    metric = Metric("cost_usd", "mean", "decrease", "cost_usd")
    early, stats = pair(n=2000, share=0.2), pair(n=2000, share=0.5)
    for each in (*early.values(), *stats.values()):
        each.metrics["cost_usd"] = measured([2.0, 3.0] * 1000)

    assert judged(early, 20.0, objective="cost_usd", metrics=(metric,)).action == "promote"
    waits = judged(stats, 50.0, objective="cost_usd", metrics=(metric,))
    assert (waits.action, waits.reason) == ("hold", "unclear: cost_usd")

    stats["canary"].metrics["cost_usd"] = measured([1.0, 2.0] * 1000)
    assert judged(stats, 50.0, objective="cost_usd", metrics=(metric,)).share == 100


def test_doubt_leads_on_but_never_to_everything():
    early = pair(n=1000, share=0.2, errors=25, control=80)
    doubt = pair(n=2000, share=0.5, errors=50, control=40)

    assert judged(early, 20.0, max_exposures=1000).reason == (
        "no harm after 1000 exposures; unclear: error_rate"
    )
    assert judged(doubt, 50.0, max_exposures=1000).reason == "unclear: error_rate"


def test_nothing_was_seen_yet():
    step = judged({})

    assert (step.action, step.reason) == ("hold", "0 of 500 exposures")


@pytest.mark.parametrize(
    ("shares", "steps", "expected"),
    [
        ([95, 5], (1, 5, 20), ([1, 5, 20], 1)),
        ([70, 30], (1, 20, 50), ([1, 20, 30, 50], 2)),
        ([40, 10], (10, 30, 100), ([10, 30, 50], 0)),
        ([0, 50], (10, 50), ([10, 50], 1)),
    ],
)
def test_the_ladder_has_the_present_share_and_no_more_than_both_arms_have(shares, steps, expected):
    arms = (Arm("control", shares[0]), Arm("canary", shares[1]))
    rollout = Rollout(steps)

    assert ladder(Experiment("e", arms, rollout=rollout), rollout) == expected


def test_candidate_and_control_may_be_any_arms():
    arms = (Arm("new", 5.0), Arm("other", 20.0), Arm("old", 75.0))
    rollout = replace(ROLLOUT, candidate="new", control="old", steps=(5, 100))
    found = Experiment("e", arms, state="running", rollout=rollout)
    stats = {"new": arm(2000, 0), "other": arm(8000, 0), "old": arm(30_000, 0)}
    begun = followed(None, {"new": 5.0, "other": 20.0, "old": 75.0}, {}, {}, START)

    step = judge_step(found, rollout, begun, stats, START + 9)
    assert (step.action, step.share) == ("promote", 80)


def test_the_sentence_for_the_history_has_the_figures():
    stats = pair(errors=68, n=2000, control=304)
    step = judged(stats)
    found = figures(experiment(), stats, ["error_rate"])

    assert sentence(experiment(), step, found) == (
        "rolled back from 5 %: error_rate 0.034 [0.0209, 0.0514] over 0.008 [0.00626, 0.01], "
        "limit +0.01"
    )
    promoted = judged(pair())
    assert sentence(experiment(), promoted, found) == (
        "promoted from 5 % to 20 %: all guards are safe"
    )
