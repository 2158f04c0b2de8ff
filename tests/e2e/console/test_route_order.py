"""Which routes get another number when their order changes, as the browser computes it."""

import pytest

pytestmark = pytest.mark.e2e

ORDERED = {"a": 10, "b": 20, "c": 30, "d": 40}
EQUAL = {"a": 100, "b": 100, "c": 100, "d": 100}
CLOSE = {"a": 1, "b": 1.001, "c": 5}
REORDER = """async ([orders, wanted, touched]) => {
  const { changesFor, inOrder } = await import("/console/rules/order.js");
  const named = (name, order) => ({ name, document: { order } });
  const items = [...wanted].map((name) => named(name, orders[name]));
  const changes = changesFor(items, new Set(touched));
  const after = Object.entries({ ...orders, ...changes });
  const names = inOrder(after.map(([name, order]) => named(name, order)));
  return [changes, names.map((one) => one.name).join("")];
}"""


@pytest.fixture
def reorder(visit):
    page = visit.go("#/routes")
    return lambda orders, wanted, touched="": page.evaluate(REORDER, [orders, wanted, touched])


def test_nothing_is_written_when_the_order_is_as_it_was(reorder):
    assert reorder(ORDERED, "abcd") == [{}, "abcd"]
    assert reorder(EQUAL, "abcd") == [{}, "abcd"]


def test_one_moved_route_alone_gets_another_number(reorder):
    assert reorder(ORDERED, "bcad") == [{"a": 35}, "bcad"]
    assert reorder(ORDERED, "bcda") == [{"a": 50}, "bcda"]
    assert reorder(ORDERED, "dabc") == [{"d": 0}, "dabc"]
    assert reorder(EQUAL, "dabc") == [{"d": 90}, "dabc"]


def test_of_two_that_change_places_the_one_that_was_moved_gets_another_number(reorder):
    assert reorder(ORDERED, "bacd", "b") == [{"b": 0}, "bacd"]
    assert reorder(ORDERED, "bacd", "a") == [{"a": 25}, "bacd"]


def test_routes_of_one_number_are_told_apart_with_the_fewest_changes(reorder):
    changes, names = reorder(EQUAL, "bacd")
    assert (len(changes), names) == (1, "bacd")
    changes, names = reorder(EQUAL, "dcba")
    assert (len(changes), names) == (3, "dcba")


def test_numbers_find_room_between_close_neighbours(reorder):
    changes, names = reorder(CLOSE, "acb")
    assert (len(changes), names) == (1, "acb")
    changes, names = reorder({"a": 1, "b": 1, "c": 2}, "bca")
    assert (len(changes), names) == (1, "bca")
