"""Spider's execution and test-suite accuracy: the official verdicts, worked out by hand."""

import shutil

import pytest

from kdzoo.tasks.sql import Item, Judge, Limits, Verdict

RIGHT, WRONG = Verdict(True), Verdict(False)


@pytest.mark.parametrize(
    ("gold", "prediction", "right"),
    [
        # a column permutation
        ("SELECT name, age FROM singer", "SELECT age, name FROM singer", True),
        ("SELECT name, age FROM singer", "SELECT name, age, age FROM singer", False),
        # a duplicate row, and DISTINCT, which is dropped from both
        ("SELECT country FROM singer", "SELECT country FROM singer GROUP BY country", False),
        ("SELECT country FROM singer", "SELECT DISTINCT country FROM singer", True),
        ("SELECT count(DISTINCT age) FROM singer", "SELECT count(age) FROM singer", True),
        ("SELECT name FROM singer", "SELECT name FROM singer UNION ALL SELECT 'Joe'", False),
        # ORDER BY with a tie (Ann and Tim are both 31): the order of the result counts, not what it is by
        ("SELECT name FROM singer ORDER BY age", "SELECT name FROM singer ORDER BY age, singer_id", True),
        ("SELECT name FROM singer ORDER BY age", "SELECT name FROM singer ORDER BY age, name DESC", False),
        ("SELECT age FROM singer ORDER BY age", "SELECT age FROM singer ORDER BY age, name DESC", True),
        ("SELECT name FROM singer", "SELECT name FROM singer ORDER BY age", True),
        ("SELECT age FROM singer ORDER BY age", "SELECT age FROM singer", False),
        # NULL equals NULL, and nothing else
        ("SELECT country FROM singer WHERE singer_id = 3", "SELECT NULL", True),
        ("SELECT country FROM singer WHERE singer_id = 3", "SELECT ''", False),
        ("SELECT country FROM singer WHERE singer_id = 3", "SELECT 0", False),
        # a float equals an integer, text does not
        ("SELECT age FROM singer", "SELECT age * 1.0 FROM singer", True),
        ("SELECT sum(age) FROM singer", "SELECT total(age) FROM singer", True),
        ("SELECT age FROM singer", "SELECT CAST(age AS TEXT) FROM singer", False),
        # empty results are equal, whatever their columns
        ("SELECT name FROM singer WHERE age > 99", "SELECT age, name FROM singer WHERE age < 0", True),
        ("SELECT name FROM singer WHERE age > 99", "SELECT count(*) FROM singer WHERE age < 0", False),
        # the text
        ("SELECT name FROM singer WHERE age > = 31", "SELECT name FROM singer WHERE age >= 31;", True),
        ("SELECT name FROM singer", "SELECT name FROM singer; SELECT 1", True),
        ("SELECT 2020", "SELECT YEAR(CURDATE())", True),
        ("SELECT name FROM singer", "select NAME from SINGER -- all of them", True),
    ],
)
def test_verdict(verdict, gold, prediction, right):
    assert verdict(gold, prediction) == Verdict(right)


def test_text_that_is_not_utf_8_loses_its_bad_bytes(build_database, verdict):
    database = build_database("CREATE TABLE t (x TEXT); INSERT INTO t VALUES (CAST(x'41ff42' AS TEXT));")
    assert verdict("SELECT x FROM t", "SELECT 'AB'", database=database) == RIGHT
    assert verdict("SELECT x FROM t", "SELECT x || x FROM t", database=database) == WRONG


@pytest.mark.parametrize("name", ["a b", "ä?#%41", "quote'\"", "semi;colon&mode=rwc"])
def test_a_database_may_have_any_name(build_database, verdict, name):
    database = build_database("CREATE TABLE t (x); INSERT INTO t VALUES (7);", name)
    assert verdict("SELECT x FROM t", "SELECT 7", database=database) == RIGHT


def test_a_failing_prediction_is_wrong_and_says_why(verdict):
    assert verdict("SELECT 1", "SELECT missing FROM singer") == Verdict(False, "no such column: missing")
    assert verdict("SELECT 1", "SELECT name FRM singer").reason == 'near "singer": syntax error'
    assert verdict("SELECT 1", "").reason == "no statement"


@pytest.mark.parametrize("metric", ["ex", "ts", "bird-ex"])
def test_a_failing_gold_query_is_an_error_and_no_verdict(verdict, metric):
    found = verdict("SELECT missing FROM singer", "SELECT name FROM singer", metric=metric)
    assert found == Verdict(False, None, "singers.sqlite: no such column: missing")


def test_a_missing_or_broken_database_is_the_gold_querys_error(tmp_path, verdict):
    (tmp_path / "broken.sqlite").write_bytes(b"not a database" * 100)
    for name in ("broken.sqlite", "missing.sqlite"):
        found = verdict("SELECT 1 FROM t", "SELECT 1", database=tmp_path / name)
        assert found.gold_error is not None
    assert not (tmp_path / "missing.sqlite").exists()


def test_a_query_that_takes_no_end_is_a_timeout(singers):
    endless = "SELECT count(*) FROM numbers a, numbers b, numbers c, numbers d"
    with Judge(Limits(steps=20_000_000)) as judge:
        found = judge.judge([Item("SELECT 1", endless, singers), Item("SELECT 1", "SELECT 1", singers)], "ex")
    assert found == [Verdict(False, "timeout"), RIGHT]


def test_a_query_that_needs_more_than_a_first_try_gets_it(verdict):
    # a million combinations: more steps than a first try may take, by far fewer than the limit
    slow = "SELECT count(*) FROM numbers a, numbers b WHERE a.n * b.n >= 0"
    assert verdict("SELECT 1000000", slow) == RIGHT


# reading a text and comparing what it gives take time, but no steps of SQLite
STEPLESS = {
    "reading": ("SELECT DISTINCT " + ", ".join(["1"] * 12_000), {"first_seconds": 0.05, "seconds": 0.05}),
    "comparing": ("SELECT zeroblob(9000000), 1 FROM singer", {"reading_seconds": 0.02}),
}


@pytest.mark.parametrize(("prediction", "little"), STEPLESS.values(), ids=STEPLESS)
def test_what_takes_time_but_no_steps_is_stopped_too(singers, prediction, little):
    item = Item("SELECT name FROM singer", prediction, singers)
    reasons = []
    for limits in (Limits(**little), Limits()):
        with Judge(limits, workers=1) as judge:
            reasons.append(judge.judge([item], "ex")[0].reason)
    assert reasons[0] == "timeout" != reasons[1]


def test_the_quirk_of_the_official_command_is_off_unless_asked_for(build_database):
    database = build_database("CREATE TABLE t (value); INSERT INTO t VALUES (5);")
    item = Item("SELECT value FROM t", "SELECT value FROM t", database)
    for quirks, right in ((False, True), (True, False)):
        with Judge(official_quirks=quirks, workers=1) as judge:
            assert judge.judge([item], "ex")[0].right is right


MANY = "SELECT a.n FROM numbers a, numbers b, singer c LIMIT 1000001"


@pytest.mark.parametrize(
    ("metric", "prediction"),
    [
        # DISTINCT, which would make it small, is dropped
        ("ex", MANY.replace("SELECT", "SELECT DISTINCT")),
        ("bird-ex", f"SELECT DISTINCT * FROM ({MANY})"),
    ],
)
def test_results_of_more_than_a_million_rows_are_compared(verdict, metric, prediction):
    assert verdict(MANY, prediction, metric=metric) == RIGHT


class TestSuites:
    """TS: equal on every file of the folder whose name contains .sqlite."""

    @pytest.fixture
    def suite(self, build_database, tmp_path):
        script = "CREATE TABLE t (x); INSERT INTO t VALUES (1), (2);"
        database = build_database(script, "shop")
        other = script.replace("(1), (2)", "(1), (3)")
        build_database(other, "shop_fuzzed", folder=database.parent)
        (database.parent / "notes.txt").write_text("not a database")
        return database

    def test_a_prediction_must_be_right_on_all_databases(self, suite, verdict):
        accidentally_right = "SELECT x FROM t WHERE x = 2"
        gold = "SELECT max(x) FROM t"
        assert verdict(gold, accidentally_right, database=suite) == RIGHT
        assert verdict(gold, accidentally_right, database=suite, metric="ts") == WRONG
        assert verdict(gold, "SELECT x FROM t ORDER BY x DESC LIMIT 1", database=suite, metric="ts") == RIGHT

    def test_without_more_databases_it_is_ex(self, singers, verdict):
        for prediction, right in (("SELECT name FROM singer", True), ("SELECT age FROM singer", False)):
            assert verdict("SELECT name FROM singer", prediction, metric="ts") == Verdict(right)

    def test_a_file_that_is_no_database_is_reported(self, suite, verdict):
        shutil.copy(suite.parent / "notes.txt", suite.parent / "zzz.sqlite.bak")
        found = verdict("SELECT x FROM t", "SELECT x FROM t", database=suite, metric="ts")
        assert found.gold_error == "zzz.sqlite.bak: file is not a database"


def test_verdicts_come_in_the_order_of_the_items(judge, singers):
    items = [Item(f"SELECT {number % 7}", f"SELECT {number % 5}", singers) for number in range(100)]
    done = []
    found = judge.judge(items, "ex", done.append)
    assert [verdict.right for verdict in found] == [number % 7 == number % 5 for number in range(100)]
    assert done == list(range(1, 101))


def test_nothing_to_judge_gives_nothing(judge):
    assert judge.judge([], "ex") == []
