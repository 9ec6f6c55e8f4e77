"""Results as hashes are equal where the values are, by Python's and SQLite's own comparison."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.tasks.sql.digest import Digest, combine, distinct_rows, hash_row

VALUES = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0.0, 1.0, -2.0, 0.5, 1e300, float("inf")]),
    st.text(max_size=3),
    st.sampled_from(["1", "1.0", "None", "n1", "t", ""]),
    st.binary(max_size=3),
)


@given(VALUES, VALUES)
def test_two_values_have_one_hash_if_they_are_equal(first, second):
    assert (hash_row((first,)) == hash_row((second,))) == (first == second)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (1, 1.0, True),
        (0, -0.0, True),
        (1, "1", False),
        ("a", b"a", False),
        (None, "None", False),
        (1, 1.5, False),
    ],
)
def test_as_sqlite_compares_them(first, second, same):
    (found,) = sqlite3.connect(":memory:").execute("SELECT ? IS ?", (first, second)).fetchone()
    assert bool(found) == same
    assert (hash_row((first,)) == hash_row((second,))) == same


@given(st.lists(st.tuples(VALUES, VALUES), max_size=6))
def test_distinct_rows_are_those_of_a_set(rows):
    assert len(distinct_rows(rows)) == len(set(rows))
    assert distinct_rows(rows) == distinct_rows(reversed(rows)) == distinct_rows(rows * 2)


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=6), st.permutations(range(3)))
def test_a_row_as_text_does_not_depend_on_the_order_of_its_columns(rows, order):
    permuted = [tuple(row[place] for place in order) for row in rows]
    first, second = Digest(rows), Digest(permuted)
    # the official program sorts a row by the text of its values: values of one text are not told apart by place
    distinct = all(len({f"{value}{type(value)}" for value in row}) == 3 for row in rows)
    if distinct:
        assert first.as_text == second.as_text
    assert [column.tolist() for column in second.columns] == [
        first.columns[place].tolist() for place in order if rows
    ]


def test_a_result_is_read_as_far_as_wanted_and_knows_its_length():
    rows = iter([(n, "x") for n in range(10)])
    digest = Digest(rows, 4)
    assert len(digest) == 4
    assert [len(column) for column in digest.columns] == [4, 4]
    assert next(rows) == (4, "x")


def test_no_rows_have_no_columns():
    assert (len(Digest([])), Digest([]).columns) == (0, [])


def test_sums_of_combined_numbers_are_not_equal_as_those_of_tuples_are():
    # what stands for a multiset is the sum of its rows' numbers
    small = range(-6, 7)
    pairs = [(a, b) for a in small for b in small]
    sums = {combine(*first) + combine(*second) for first in pairs for second in pairs}
    multisets = {tuple(sorted((first, second))) for first in pairs for second in pairs}
    assert len(sums) == len(multisets)
