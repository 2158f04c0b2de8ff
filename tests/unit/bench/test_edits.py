"""When an edit counts as followed."""

import math

import pytest

from bench.edits import Answer, Edit, Followed, compare, rows
from bench.table import MISSED, REACHED

EDIT = Edit(sent=0.9, returned=1.0, backend="new")
NEXT = Edit(sent=2.0, returned=2.1, backend="old")


def answers(text):
    """Read ``1.002 old, 1.004 new`` as answers."""
    pairs = (each.split() for each in text.split(",") if each)
    return [Answer(float(at), backend) for at, backend in pairs]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ("1.002 old, 1.004 new, 1.006 new", (4, 4)),
        ("1.002 old, 1.004 new, 1.006 old, 1.008 new", (4, 8)),
        ("0.95 new, 1.002 new", (2, 2)),
        ("1.002 old", (math.inf, math.inf)),
        ("1.004 new, 1.006 old", (4, math.inf)),
        ("1.004 new, 2.05 old", (4, 4)),
        ("", (math.inf, math.inf)),
    ],
    ids=[
        "at once in all workers",
        "later in another worker",
        "answers that were under way do not count",
        "never",
        "one worker never",
        "the next edit was sent: not this one's turn any more",
        "no answers at all",
    ],
)
def test_an_edit_is_followed_from_the_first_new_and_after_the_last_old_answer(seen, expected):
    first, _ = compare([EDIT, NEXT], answers(seen))

    assert first == pytest.approx(Followed(*expected))


def test_an_edit_that_is_not_followed_misses_its_mark():
    verdicts = [row.verdict for row in rows([Followed(5, math.inf)], "here", 100)]

    assert verdicts == [REACHED, MISSED]
