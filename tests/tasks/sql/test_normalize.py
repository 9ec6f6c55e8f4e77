"""What Spider's official evaluator does to a query's text."""

import pytest

from kdzoo.tasks.sql.normalize import as_the_official_command, normalize, order_matters


@pytest.mark.parametrize(
    ("query", "becomes"),
    [
        ("SELECT DISTINCT name FROM t", "SELECT  name FROM t"),
        ("SELECT count(distinct name) FROM t", "SELECT count( name) FROM t"),
        ("SELECT name FROM t WHERE x = 'distinct'", "SELECT name FROM t WHERE x = 'distinct'"),
        ('SELECT "distinct" FROM t', 'SELECT "distinct" FROM t'),
        ("SELECT distinctive FROM t", "SELECT distinctive FROM t"),
        ("SELECT DISTINCT x FROM t WHERE y = 'DISTINCT y'", "SELECT  x FROM t WHERE y = 'DISTINCT y'"),
        (
            "SELECT a FROM t WHERE x > = 1 AND y < = 2 AND z ! = 3",
            "SELECT a FROM t WHERE x >= 1 AND y <= 2 AND z != 3",
        ),
        ("SELECT 1;SELECT 2", "SELECT 1;"),
        ("SELECT ';';SELECT 2", "SELECT ';';"),
        ("SELECT year(curdate()) - age", "SELECT 2020- age"),
        ("SELECT YEAR ( CURDATE ( ) ) FROM t", "SELECT 2020FROM t"),
    ],
)
def test_the_text_that_is_run(query, becomes):
    assert normalize(query) == becomes


@pytest.mark.parametrize("query", ["", " ", "\n\t"])
def test_no_statement_is_an_error(query):
    with pytest.raises(ValueError, match="no statement"):
        normalize(query)


@pytest.mark.parametrize(
    ("gold", "ordered"),
    [
        ("SELECT a FROM t ORDER BY a", True),
        ("SELECT a FROM t order by a", True),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a LIMIT 1)", True),
        ("SELECT a FROM t ORDER  BY a", False),  # two spaces: the official program does not see it
        ("SELECT a FROM t", False),
    ],
)
def test_rows_are_compared_in_order_if_gold_says_order_by_anywhere(gold, ordered):
    assert order_matters(gold) is ordered


def test_the_official_command_cuts_at_a_tab_and_takes_values_for_1():
    assert as_the_official_command("SELECT value, values_2 FROM t\tdb") == "SELECT 1, 1s_2 FROM t"
