"""When backends are out: lines of time, and what holds for all of them."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar.model import Ejection, Out
from sidecar.telemetry.ejection import JITTER, Batch, Ejector, Moment, seconds_out

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "ejection.yaml").read_text())


def batch(events, wait=0.0):
    made = Batch()
    for event in events:
        made.fail(wait) if event == "f" else made.succeed()
    return made


def ejector(rules=None):
    made = Ejector()
    made.use({"small": rules or Ejection()})
    return made


def said(change):
    if change is None:
        return None
    return "back" if change.what == "back" else change.reason


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_line_of_time(case):
    made, rules = Ejector(), case.get("rules", {})
    made.use({} if rules is None else {"small": Ejection(**rules)})
    for step in case["line"]:
        moment = Moment(step["at"], case.get("uniform", 0.0))
        change = made.take("small", batch(step.get("events", ""), step.get("wait", 0.0)), moment)

        assert said(change) == step.get("change"), step
        out = made.out(moment.now).get("small")
        if "change" not in step or "out" in step:
            assert (None if out is None else out.reason) == step.get("out"), step
        if "trial" in step:
            assert out.trial.endswith(f":{step['trial']}")


def test_what_leaves_the_rules_is_forgotten():
    made = ejector()
    made.take("small", batch("fffff"), Moment(0, 0))

    made.use({})
    made.use({"small": Ejection()})

    assert made.out(1) == {}


def test_a_backend_is_suspected_for_a_minute_after_a_failure_and_while_it_is_out():
    made = ejector()
    assert not made.suspects("small", 0)

    made.take("small", batch("fs"), Moment(0, 0))

    assert made.suspects("small", 54)
    assert not made.suspects("small", 60)
    made.take("small", batch("fffff"), Moment(100, 0))
    assert made.suspects("small", 1000)


def test_rounds_of_trials_have_names_of_their_own():
    made = ejector(Ejection(base_seconds=2))
    made.take("small", batch("fffff"), Moment(100, 0))

    names = {made.out(at)["small"].trial for at in (102, 103.9, 104, 106)}

    assert len(names) == 3
    assert made.out(101.9)["small"] == Out("out until 00:01:42Z: 5 consecutive failures")


@given(
    st.floats(1, 3600),
    st.floats(1, 100),
    st.integers(0, 2000),
    st.floats(0, 1, exclude_max=True),
)
def test_a_time_out_grows_up_to_its_limit_and_jitter_is_bounded(base, factor, times, uniform):
    rules = Ejection(base_seconds=base, max_seconds=base * factor)

    found, least = seconds_out(rules, times, uniform), seconds_out(rules, times, 0.0)

    assert base <= least <= found <= rules.max_seconds
    assert found <= least * (1 + JITTER)
    assert seconds_out(rules, times + 1, uniform) >= found


@given(st.lists(st.text("fs", max_size=12), max_size=12))
def test_how_events_are_cut_into_batches_makes_no_difference_to_a_row(parts):
    """But for what comes behind the failure that takes a backend out, which counts no more."""
    rules = Ejection(consecutive_failures=4, error_rate=1.0, min_requests=1000)
    cut, single = ejector(rules), ejector(rules)
    for part in parts:
        cut.take("small", batch(part), Moment(1, 0))
    for event in "".join(parts):
        single.take("small", batch(event), Moment(1, 0))

    assert cut.out(1).keys() == single.out(1).keys()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["small", "large"]),
            st.text("fs", max_size=30),
            st.floats(0, 30),
            st.floats(0, 1, exclude_max=True),
        ),
        max_size=30,
    )
)
def test_two_nodes_that_see_the_same_agree(events):
    one, other = Ejector(), Ejector()
    for node in (one, other):
        node.use({"small": Ejection(), "large": Ejection(consecutive_failures=1)})
    now = 0.0
    for backend, outcomes, pause, uniform in events:
        now += pause
        moment = Moment(now, uniform)
        first = one.take(backend, batch(outcomes), moment)
        assert first == other.take(backend, batch(outcomes), moment)
        assert one.out(now) == other.out(now)
    assert one.states == other.states
