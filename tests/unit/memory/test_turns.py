from sidecar.memory.turns import Turns


def test_turns_are_counted_by_key():
    turns = Turns()
    for key in "aab":
        turns.take(key)

    assert [turns.get(key) for key in "abc"] == [2, 1, 0]


def test_of_too_many_keys_the_least_recently_used_is_forgotten():
    turns = Turns(most=2)
    for key in "abac":
        turns.take(key)

    assert [turns.get(key) for key in "abc"] == [2, 0, 1]
