"""Shares and switches of a running experiment, edited in the document as it stands."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.documents import Documents
from sidecar.config.experiment_edits import (
    edited,
    hold,
    moving,
    promoting,
    resume,
    roll_back,
    stop,
)
from sidecar.config.experiments import changes
from sidecar.errors import ConfigError


def documents(old=95, new=5, **fields):
    experiment = {
        "arms": [
            {"name": "old", "router": "small", "share": old},
            {"name": "new", "router": "canary", "share": new},
        ],
        "state": "running",
        "rollout": {"steps": [1, 5, 20, 50, 100]},
        "description": "by hand",
        **fields,
    }
    return Documents.of({"experiments": {"checkout": experiment, "other": experiment}})


def after(edit, before=None):
    before = before or documents()
    found, done = edited(before, "checkout", edit)
    assert found.experiments["other"] == before.experiments["other"]
    assert changes(before, found) == []
    return msgspec.json.decode(found.experiments["checkout"]), done


def shares(document):
    return [arm["share"] for arm in document["arms"]]


@pytest.mark.parametrize(
    ("edit", "before", "expected"),
    [
        (moving(20), (95, 5), [80, 20]),
        (moving(100), (40, 10), None),
        (moving(50), (40, 10), [0, 50]),
        (moving(0.1), (99.9, 0.1), [99.9, 0.1]),
        (moving(0.3), (99.9, 0.1), [99.7, 0.3]),
        (roll_back, (95, 5), [100, 0]),
        (roll_back, (40, 10), [50, 0]),
        (promoting(None), (95, 5), [80, 20]),
        (promoting(None), (93, 7), [80, 20]),
        (promoting(None), (40, 10), [30, 20]),
        (promoting(None), (10, 20), [0, 30]),
        (promoting(None), (0, 100), None),
        (promoting(None), (0, 50), None),
        (promoting(2.5), (95, 5), [97.5, 2.5]),
        (promoting(101), (95, 5), None),
        (promoting(-1), (95, 5), None),
    ],
)
def test_shares_move_between_both_arms_and_their_sum_stays(edit, before, expected):
    try:
        document, _ = after(edit, documents(*before))
    except ConfigError:
        assert expected is None
    else:
        assert shares(document) == expected


def test_all_else_in_the_document_stays():
    document, done = after(moving(20))

    before = msgspec.json.decode(documents().experiments["checkout"])
    assert document | {"arms": before["arms"]} == before
    assert done == "new from 5 % to 20 %"


def test_a_candidate_that_lost_its_share_begins_anew_with_the_units_where_they_were():
    document, done = after(promoting(None), documents(100, 0))

    assert (shares(document), document["version"]) == ([99, 1], 2)
    # What the salt was made of under version 1.
    assert document["salt"] == "checkout 1"
    assert done == "promoted: new from 0 % to 1 %; version 2, its data restarts"


def test_a_salt_that_is_written_stays():
    document, _ = after(promoting(5), documents(100, 0, version=7, salt="pepper"))

    assert (document["version"], document["salt"]) == (8, "pepper")


def test_hold_and_resume():
    held, _ = after(hold)
    assert held["rollout"]["automatic"] is False

    resumed, _ = after(resume, documents(state="paused", rollout=held["rollout"]))
    assert (resumed["state"], resumed["rollout"]["automatic"]) == ("running", True)
    assert "version" not in resumed


def test_stop_and_resume_begin_anew():
    stopped, _ = after(stop)
    assert (stopped["state"], shares(stopped)) == ("stopped", [95, 5])

    again, _ = after(resume, documents(state="stopped"))
    assert (again["state"], again["version"]) == ("running", 2)


@pytest.mark.parametrize(
    ("edit", "fields", "message"),
    [
        (stop, {"state": "stopped"}, "experiments.checkout: is stopped already"),
        (
            promoting(None), {"state": "paused"},
            "experiments.checkout: is paused, not running: resume it first",
        ),
        (
            roll_back, {"rollout": None},
            "experiments.checkout: has no rollout: put its document to change shares",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(edit, fields, message):
    with pytest.raises(ConfigError, match=message):
        after(edit, documents(**fields))


def test_an_unknown_experiment_is_named_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"experiments.chekout: is not there; known: checkout, o"):
        edited(documents(), "chekout", stop)


@given(
    st.floats(0, 100, allow_nan=False).map(lambda share: round(share, 3)),
    st.floats(0, 100, allow_nan=False).map(lambda share: round(share, 3)),
)
def test_no_share_is_ever_lost_or_made(new, to):
    old = round(100 - new, 3)
    document, _ = after(moving(to), documents(old, new))

    assert sum(shares(document)) == pytest.approx(100, abs=1e-9)
    assert min(shares(document)) >= 0
