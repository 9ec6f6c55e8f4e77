"""Spider's hardness, worked out by hand from the official counts c1, c2 and o."""

import pytest
import sqlglot

from kdzoo.tasks.sql.hardness import components, hardness


@pytest.mark.parametrize(
    ("sql", "counts", "level"),
    [
        ("SELECT count(*) FROM singer", (0, 0, 0), "easy"),
        ("SELECT name FROM singer WHERE age > 20", (1, 0, 0), "easy"),
        ("SELECT name FROM singer ORDER BY age DESC LIMIT 1", (2, 0, 0), "medium"),
        ("SELECT name, age FROM singer", (0, 0, 1), "medium"),
        ("SELECT max(age), min(age) FROM singer", (0, 0, 2), "medium"),
        ("SELECT name FROM singer WHERE a = 1 OR b = 2", (2, 0, 1), "medium"),
        ("SELECT name FROM singer WHERE name LIKE '%a%'", (2, 0, 0), "medium"),
        ("SELECT name FROM singer WHERE age BETWEEN 1 AND 2", (1, 0, 0), "easy"),
        (
            "SELECT a, b FROM s JOIN t ON s.x = t.x JOIN u ON t.y = u.y WHERE c = 1 AND d = 2",
            (3, 0, 2),
            "hard",
        ),
        ("SELECT max(a), min(b) FROM s WHERE c = 1 AND d = 2", (1, 0, 3), "hard"),
        ("SELECT name FROM s WHERE id NOT IN (SELECT id FROM t)", (1, 1, 0), "hard"),
        ("SELECT name FROM s UNION SELECT name FROM t", (0, 1, 0), "hard"),
        ("SELECT name FROM s EXCEPT SELECT name FROM t WHERE x = 1 ORDER BY y LIMIT 2", (0, 1, 0), "hard"),
        ("SELECT name FROM s JOIN t ON s.x = t.x WHERE a > (SELECT avg(a) FROM s)", (2, 1, 0), "extra"),
        ("SELECT a FROM s JOIN t ON s.x = t.x GROUP BY a ORDER BY count(*) LIMIT 1", (4, 0, 0), "extra"),
        ("SELECT a FROM s GROUP BY a, b HAVING count(*) > 1 AND max(c) < 3", (1, 0, 1), "medium"),
        ("SELECT a, count(*) FROM s GROUP BY a ORDER BY count(*)", (2, 0, 2), "extra"),
        # a query inside FROM is neither nested nor counted, one inside a nested query not again
        ("SELECT count(*) FROM (SELECT a FROM s WHERE x = 1 GROUP BY a)", (0, 0, 0), "easy"),
        ("SELECT a FROM s WHERE x IN (SELECT x FROM t WHERE y IN (SELECT y FROM u))", (1, 1, 0), "hard"),
        # negated conditions count as aggregates do
        ("SELECT max(a) FROM s WHERE b NOT IN (1, 2)", (1, 0, 1), "medium"),
        ("(SELECT a FROM s) INTERSECT (SELECT a FROM t)", (0, 1, 0), "hard"),
    ],
)
def test_level(sql, counts, level):
    assert components(sqlglot.parse_one(sql, dialect="sqlite")) == counts
    assert hardness(sql) == level


@pytest.mark.parametrize(
    "sql", ["", "SELECT FROM WHERE", "no query at all", "SELECT " + "(" * 5000, "DROP TABLE t"]
)
def test_what_is_no_query_is_rated_without_an_error(sql):
    assert hardness(sql) in ("easy", "extra")
