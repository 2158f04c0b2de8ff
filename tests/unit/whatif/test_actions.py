"""How likely a request goes where: stated where it is stated, counted where it is not."""

import pytest

from sidecar.model import Stats
from sidecar.whatif import CannotTell, action_probabilities
from tests.unit.whatif import past


def actions(router, **given):
    snapshot = past.rules(router)
    record = past.record(past.rules({"targets": ["small"]}), **given)
    return action_probabilities(snapshot, Stats(), record)


def percentage(*shares, **fields):
    return {
        "type": "percentage",
        "targets": ["small", "large", "far"],
        "targets_percentages": shares,
        **fields,
    }


def test_a_plan_without_a_draw_is_certain():
    assert actions({"targets": ["far", "small"]}) == ({"far": 1.0}, True, None)


def test_one_draw_states_its_probabilities():
    found = actions(percentage(50, 30, 20))

    assert found.exact
    assert found.probabilities == pytest.approx({"small": 0.5, "large": 0.3, "far": 0.2})


def test_arms_that_are_smaller_than_the_coarse_grid_are_found_by_the_fine_one():
    found = actions(percentage(97, 1, 2))

    assert found.exact
    assert found.probabilities == pytest.approx({"small": 0.97, "large": 0.01, "far": 0.02})


def test_arms_of_one_backend_add_up():
    targets = ["small", {"model": "small", "temperature": 1}, "large"]
    found = actions(percentage(25, 25, 50, targets=targets))

    assert found.probabilities == pytest.approx({"small": 0.5, "large": 0.5}, abs=0.01)


def test_several_draws_are_counted_and_the_count_is_the_same_again():
    inner = {"router": {"type": "random", "targets": ["small", "far"]}}
    router = percentage(50, 50, targets=[inner, "large"])

    found = actions(router)

    assert not found.exact
    assert sum(found.probabilities.values()) == pytest.approx(1)
    expected = {"small": 0.25, "large": 0.5, "far": 0.25}
    assert found.probabilities == pytest.approx(expected, abs=0.03)
    assert found == actions(router)


def test_a_key_that_chooses_is_told_with_its_share():
    found = actions(percentage(50, 30, 20, key="user.id"), headers={"x-user-id": "ann"})

    ((backend, certain),) = found.probabilities.items()
    assert (certain, found.sticky.backend) == (1.0, backend)
    assert found.sticky.probability in (0.5, 0.3, 0.2)


def test_a_missing_fact_is_told():
    assert actions(percentage(1, 1, 1, key="headers.x-new")) == CannotTell(("headers.x-new",))
