"""Statements vote for the result that they have, whatever their words are."""

import sqlite3

import pytest

from kdzoo.tasks.sql import Judge
from kdzoo.tasks.sql.vote import Vote, vote


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript("CREATE TABLE t (x, y); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (2, 'c');")
    connection.close()
    return path


ONE, SAME, OTHER, THIRD = "SELECT 1", "SELECT min(x) FROM t", "SELECT 2", "SELECT 3"
BROKEN, AGAIN = "SELECT z FROM t", "SELEC 1"
CASES = [
    ([OTHER, ONE, SAME], Vote(ONE, 2)),
    ([OTHER, THIRD, ONE, SAME, OTHER], Vote(OTHER, 2)),  # equally many: the earliest
    ([OTHER, SAME, ONE, THIRD, ONE], Vote(SAME, 3)),
    ([BROKEN, BROKEN, BROKEN, ONE], Vote(ONE, 1)),
    ([BROKEN, ONE, SAME, AGAIN], Vote(ONE, 2)),
    ([ONE, ONE], Vote(ONE, 2)),
    ([BROKEN], Vote(BROKEN, 0)),
    ([AGAIN, BROKEN, BROKEN], Vote(BROKEN, 0)),
    (["", ONE], Vote(ONE, 1)),
]


def test_the_result_that_most_have_is_chosen(database):
    with Judge() as judge:
        found = vote([statements for statements, _ in CASES], [database] * len(CASES), judge, "ex")
    assert found == [expected for _, expected in CASES]


def test_results_are_equal_as_the_rule_says(database):
    # Spider finds columns in any order, BIRD in theirs
    statements = [OTHER, "SELECT x, y FROM t", "SELECT y, x FROM t"]
    with Judge() as judge:
        assert vote([statements], [database], judge, "ex") == [Vote("SELECT x, y FROM t", 2)]
        assert vote([statements], [database], judge, "bird-ex") == [Vote(OTHER, 1)]
