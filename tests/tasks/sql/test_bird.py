"""BIRD's execution accuracy: the sets of rows, columns in their order, the text as it is."""

import pytest

from kdzoo.tasks.sql import Limits, Verdict, bird
from kdzoo.tasks.sql.digest import distinct_rows
from kdzoo.tasks.sql.gold import GoldResult
from kdzoo.tasks.sql.request import Answer, Request


@pytest.mark.parametrize(
    ("gold", "prediction", "right"),
    [
        ("SELECT country FROM singer", "SELECT DISTINCT country FROM singer", True),
        ("SELECT name FROM singer ORDER BY age", "SELECT name FROM singer ORDER BY age DESC", True),
        ("SELECT name, age FROM singer", "SELECT age, name FROM singer", False),
        ("SELECT count(DISTINCT age) FROM singer", "SELECT count(age) FROM singer", False),
        ("SELECT age FROM singer", "SELECT age * 1.0 FROM singer", True),
        ("SELECT name FROM singer WHERE age > 99", "SELECT name, age FROM singer WHERE age > 99", True),
        ("SELECT name FROM singer", "SELECT name FROM singer LIMIT 3", False),
        ("SELECT name FROM singer LIMIT 3", "SELECT name FROM singer", False),
    ],
)
def test_verdict(verdict, gold, prediction, right):
    assert verdict(gold, prediction, metric="bird-ex") == Verdict(right)


@pytest.mark.parametrize(
    ("prediction", "reason"),
    [
        ("SELECT name FROM singer WHERE age > = 31", 'near "=": syntax error'),
        ("SELECT name FROM singer; SELECT 1", "You can only execute one statement at a time."),
        ("SELECT YEAR(CURDATE())", "no such function: CURDATE"),
    ],
)
def test_the_text_is_not_cleaned_up(verdict, prediction, reason):
    assert verdict("SELECT name FROM singer", prediction, metric="bird-ex") == Verdict(False, reason)


def test_text_that_is_not_utf_8_is_an_error(build_database, verdict):
    database = build_database(
        "CREATE TABLE t (x TEXT); INSERT INTO t VALUES (CAST(x'41ff42' AS TEXT)), ('c');"
    )
    found = verdict("SELECT 'c'", "SELECT x FROM t", metric="bird-ex", database=database)
    assert not found.right
    assert found.reason.startswith("Could not decode to UTF-8")
    found = verdict("SELECT x FROM t", "SELECT x FROM t", metric="bird-ex", database=database)
    assert found.gold_error.startswith("db.sqlite: Could not decode to UTF-8")
    # Spider's way, by the same worker and from the same database
    assert verdict("SELECT x FROM t", "SELECT x FROM t", database=database) == Verdict(True)
    assert verdict("SELECT x FROM t", "SELECT x FROM t", metric="bird-ex", database=database).gold_error


class SlowGold:
    """Gold results that took so many seconds."""

    def __init__(self, seconds):
        self.seconds = seconds

    def get(self, database, query, limits, set_timer):
        return GoldResult(distinct_rows([(1000,)]), self.seconds)


def test_gold_and_prediction_share_one_time_limit(singers):
    request = Request(
        rule="bird",
        gold="SELECT 1000",
        prediction="SELECT sum(n >= 0) FROM numbers",
        databases=[str(singers)],
        quirks=False,
        steps=0,
        seconds=30,
        limits=Limits.of("bird-ex"),
    )
    assert bird.judge(request, SlowGold(1.0)) == Answer(True)
    assert bird.judge(request, SlowGold(30.0)) == Answer(False, "timeout", slow=True)
