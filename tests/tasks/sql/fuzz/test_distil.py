"""A few databases are chosen that together catch what all catch."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.tasks.sql.fuzz.distil import distil


def test_the_most_useful_comes_first_and_what_adds_nothing_never():
    caught = {"a": {1, 2}, "b": {3, 4, 5}, "c": {1, 2, 3}, "d": {5}}
    # b catches most; then a and c catch two more each, and the first of them is taken
    assert distil(caught, 10) == ["b", "a"]
    assert distil(caught, 1) == ["b"]
    assert distil({}, 3) == []
    assert distil({"a": set()}, 3) == []


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 9), st.sets(st.integers(0, 15)), max_size=8))
def test_nothing_that_is_caught_is_lost_and_each_choice_adds_the_most(caught):
    chosen = distil(caught, len(caught))
    covered = set()
    for name in chosen:
        gain = len(caught[name] - covered)
        assert gain == max(len(found - covered) for found in caught.values()) > 0
        covered |= caught[name]
    assert covered == set().union(*caught.values())
