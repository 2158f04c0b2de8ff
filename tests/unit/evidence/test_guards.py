"""Harm, safe, or unclear."""

import msgspec
import pytest

from sidecar.evidence import Guard, Histogram, Moments, Proportion, judge, judge_all, level_of

ALPHA = 0.05
INCREASE = Guard("error_rate", max_increase=0.01)


@pytest.mark.parametrize(
    ("guard", "control", "candidate", "state"),
    [
        (INCREASE, Proportion(20_000, 400), Proportion(20_000, 400), "safe"),
        (INCREASE, Proportion(20_000, 400), Proportion(20_000, 900), "harm"),
        (INCREASE, Proportion(20_000, 400), Proportion(20_000, 600), "unclear"),
        (INCREASE, Proportion(20_000, 400), Proportion(), "unclear"),
        (INCREASE, Proportion(990, 5), Proportion(4, 4), "harm"),
        (INCREASE, Proportion(9900, 10), Proportion(100, 0), "unclear"),
        (INCREASE, Proportion(9900, 10), Proportion(5000, 0), "safe"),
        (Guard("liked", max_decrease=0.03), Proportion(9000, 6300), Proportion(9000, 6300), "safe"),
        (Guard("liked", max_decrease=0.03), Proportion(9000, 6300), Proportion(9000, 5500), "harm"),
        (Guard("cost", max_ratio=1.2), Moments(5e3, 5e3, 1e4), Moments(5e3, 5e3, 1e4), "safe"),
        (Guard("cost", max_ratio=1.2), Moments(5e3, 5e3, 1e4), Moments(5e3, 7e3, 2e4), "harm"),
        (Guard("rate", min_ratio=0.9), Moments(5e3, 5e3, 1e4), Moments(5e3, 4e3, 7e3), "harm"),
        (Guard("rate", min_ratio=0.9), Moments(5e3, 5e3, 1e4), Moments(5e3, 6e3, 1e4), "safe"),
        (Guard("rate", min_ratio=0.9), Moments(50, 50, 100), Moments(50, 50, 100), "unclear"),
    ],
)
def test_a_guard_judges_by_the_whole_interval(guard, control, candidate, state):
    assert judge(guard, control, candidate, ALPHA).state == state


def test_a_quantiles_level_is_in_the_metrics_name():
    guard = Guard("ttft_p95_ms", max_ratio=1.2)
    fast, slow = Histogram({0: 9400, 1: 600}), Histogram({0: 9400, 200: 600})

    assert judge(guard, fast, fast, ALPHA).state == "safe"
    assert judge(guard, fast, slow, ALPHA).state == "harm"


@pytest.mark.parametrize(
    ("metric", "level"),
    [
        ("ttft_p95_ms", 0.95),
        ("latency_p5", 0.05),
        ("latency_p999", 0.999),
        ("p50", 0.5),
        ("latency_p100", None),
        ("latency_p0", None),
        ("cp95", None),
        ("up_time", None),
    ],
)
def test_level_of_a_name(metric, level):
    assert level_of(metric) == level


def test_the_reason_shows_interval_limit_and_level():
    verdict = judge(INCREASE, Proportion(20_000, 400), Proportion(20_000, 900), ALPHA)

    assert verdict.reason == (
        "difference 0.01912 to 0.03088 (95 % interval) is all beyond the limit 0.01"
    )


def test_several_guards_share_alpha():
    arms = {"error_rate": Proportion(20_000, 400)}, {"error_rate": Proportion(20_000, 600)}
    verdicts = judge_all([INCREASE, Guard("cost", max_ratio=2.0)], *arms, ALPHA)

    assert verdicts[0] == judge(INCREASE, arms[0]["error_rate"], arms[1]["error_rate"], ALPHA / 2)
    assert (verdicts[1].state, verdicts[1].reason) == ("unclear", "no values yet")


@pytest.mark.parametrize(
    "document",
    [
        '{"metric": "x"}',
        '{"metric": "x", "max_increase": 0.1, "max_ratio": 2}',
        '{"metric": "x", "max_increase": -0.1}',
        '{"metric": "x", "max_ratio": 0}',
        '{"metric": "x", "max_rate": 1}',
        '{"max_ratio": 1}',
    ],
)
def test_a_guard_without_exactly_one_sound_limit_is_refused(document):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(document, type=Guard)


def test_a_guard_is_its_document():
    assert msgspec.json.encode(INCREASE) == b'{"metric":"error_rate","max_increase":0.01}'
