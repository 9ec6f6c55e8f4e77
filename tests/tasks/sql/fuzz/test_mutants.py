"""Mutants differ from their query in one place."""

import random

import pytest

from kdzoo.tasks.sql.fuzz.mutants import as_rendered, mutants_of

COLUMNS = {"t": {"integer": ["a", "b", "odd name"], "text": ["name"]}, "u": {"integer": ["a", "c"]}}


def mutants(query, most=1000, seed=0):
    return mutants_of(query, COLUMNS, most, random.Random(seed))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT name FROM t WHERE a > 5", {
            "SELECT name FROM t WHERE a >= 5",
            "SELECT name FROM t WHERE a < 5",
            "SELECT name FROM t WHERE a > 6",
            "SELECT name FROM t WHERE a > 4",
            "SELECT name FROM t WHERE b > 5",
            'SELECT name FROM t WHERE "odd name" > 5',
            "SELECT name FROM t",
        }),
        ("SELECT MAX(a) FROM u", {"SELECT MIN(a) FROM u", "SELECT MAX(c) FROM u"}),
        ("SELECT name FROM t WHERE name = 'Joe'", {
            "SELECT name FROM t WHERE name <> 'Joe'",
            "SELECT name FROM t WHERE name >= 'Joe'",
            "SELECT name FROM t WHERE name = 'Joea'",
            "SELECT name FROM t WHERE name = 'Jo'",
            "SELECT name FROM t",
        }),
        ("SELECT name FROM t WHERE name LIKE '%x%'", {
            "SELECT name FROM t WHERE name LIKE 'x%'",
            "SELECT name FROM t WHERE name LIKE '%x'",
            "SELECT name FROM t WHERE name LIKE 'x'",
            "SELECT name FROM t WHERE NOT name LIKE '%x%'",
            "SELECT name FROM t",
        }),
        ("SELECT name FROM t ORDER BY name DESC LIMIT 3", {
            "SELECT name FROM t ORDER BY name LIMIT 3",
            "SELECT name FROM t ORDER BY name DESC LIMIT 4",
            "SELECT name FROM t ORDER BY name DESC LIMIT 2",
            "SELECT name FROM t ORDER BY name DESC",
            "SELECT name FROM t LIMIT 3",
        }),
        ("SELECT name FROM t UNION SELECT name FROM t", {
            "SELECT name FROM t INTERSECT SELECT name FROM t",
            "SELECT name FROM t",
        }),
        ("SELECT t.name FROM t JOIN u ON t.name = u.x", {
            "SELECT t.name FROM t LEFT JOIN u ON t.name = u.x",
            "SELECT t.name FROM t JOIN u ON t.name <> u.x",
            "SELECT t.name FROM t JOIN u ON t.name >= u.x",
        }),
    ],
)  # fmt: skip
def test_all_mutants_of_a_query(query, expected):
    assert set(mutants(query)) == expected


@pytest.mark.parametrize(
    ("query", "mutant"),
    [
        ("SELECT 1 FROM t WHERE a = 1 AND b = 2", "SELECT 1 FROM t WHERE a = 1 OR b = 2"),
        ("SELECT 1 FROM t WHERE a = 1 AND b = 2", "SELECT 1 FROM t WHERE a = 1"),
        ("SELECT 1 FROM t WHERE a NOT IN (1, 2)", "SELECT 1 FROM t WHERE a IN (1, 2)"),
        ("SELECT x.a FROM t AS x", "SELECT x.b FROM t AS x"),
        ("SELECT a FROM t GROUP BY a HAVING COUNT(*) > 1", "SELECT a FROM t GROUP BY a"),
        (
            "SELECT 1 FROM t WHERE a > (SELECT AVG(a) FROM t)",
            "SELECT 1 FROM t WHERE a > (SELECT SUM(a) FROM t)",
        ),
        ("SELECT a FROM t EXCEPT SELECT c FROM u", "SELECT a FROM t INTERSECT SELECT c FROM u"),
    ],
)
def test_some_mutants_of_a_query(query, mutant):
    assert mutant in mutants(query)


def test_a_sample_is_drawn_by_the_given_source():
    query = "SELECT name FROM t WHERE a > 5 AND b < 3 ORDER BY name LIMIT 4"
    assert len(mutants(query, most=5)) == 5
    assert mutants(query, most=5) == mutants(query, most=5)
    assert mutants(query, most=5, seed=1) != mutants(query, most=5, seed=2)
    assert set(mutants(query, most=5)) <= set(mutants(query))


@pytest.mark.parametrize("query", ["", "no query (", "SELECT " + "(" * 3000])
def test_what_cannot_be_parsed_has_no_mutants(query):
    assert mutants(query) == []
    assert as_rendered(query) is None
