"""The constants that columns are compared with."""

import pytest

from kdzoo.tasks.sql.fuzz.constants import constants_of
from kdzoo.tasks.sql.fuzz.values import near_values


@pytest.mark.parametrize(
    ("query", "constants"),
    [
        ("SELECT a FROM t WHERE a > 5", {"a": [5]}),
        ("SELECT a FROM t WHERE T1.A = 'x' AND b <= 2.5", {"a": ["x"], "b": [2.5]}),
        ('SELECT a FROM t WHERE a = "Ann"', {"a": ["Ann"], "Ann": None}),
        ("SELECT a FROM t WHERE a BETWEEN -3 AND 7", {"a": [-3, 7]}),
        ("SELECT a FROM t WHERE a NOT IN ('x', 'y')", {"a": ["x", "y"]}),
        ("SELECT a FROM t WHERE a LIKE '%x%'", {"a": ["%x%"]}),
        ("SELECT a FROM t GROUP BY a HAVING sum(b) > 9", {"b": [9]}),
        ("SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d = 4)", {"d": [4], "b": []}),
        ("SELECT a FROM t JOIN u ON t.x = u.y", {"x": [], "y": []}),
        ("no query at all (", {}),
    ],
)
def test_constants_by_column(query, constants):
    found = constants_of([query])
    for column, values in constants.items():
        if values is not None:
            assert found.get(column, []) == values


def test_constants_of_several_queries_are_joined():
    queries = ["SELECT 1 FROM t WHERE a = 1", "SELECT 1 FROM t WHERE a = 2 AND a = 1", "broken ("]
    assert constants_of(queries) == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("constant", "near"),
    [
        (5, {4, 5, 6}),
        (2.5, {1.5, 2.5, 3.5}),
        ("Ann", {"Ann", "ann", "ANN", "Anna", "An"}),
        ("2014", {"2013", "2014", "2015"}),
        ("%ab%", {"ab", "aba", "aab", "aabb", "a"}),
    ],
)
def test_values_near_a_constant(constant, near):
    assert near <= set(near_values(constant))
