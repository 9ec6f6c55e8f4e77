"""Gold queries run once while their results are kept, failures too; what is kept has a bound."""

import sqlite3

import pytest

from kdzoo.tasks.sql import gold
from kdzoo.tasks.sql.execute import StatementError
from kdzoo.tasks.sql.gold import GoldResults
from kdzoo.tasks.sql.limits import Limits


@pytest.fixture
def results():
    """Results as lists of rows, which count how often a query was run."""

    class Counting(GoldResults):
        def __init__(self):
            super().__init__(str, list)
            self.ran = []

        def _run(self, database, query, *rest):
            self.ran.append(query)
            return super()._run(database, query, *rest)

        def ask(self, database, query):
            return self.get(str(database), query, Limits(), lambda seconds: None).content

    return Counting()


def test_a_result_is_what_plain_sqlite_gives(results, singers):
    query = "SELECT name, age FROM singer ORDER BY name"
    assert results.ask(singers, query) == sqlite3.connect(singers).execute(query).fetchall()


def test_the_same_query_on_the_same_database_runs_once(results, singers, build_database):
    other = build_database("CREATE TABLE singer (name TEXT)", "other")
    first = results.ask(singers, "SELECT count(*) FROM singer")
    assert results.ask(singers, "SELECT count(*) FROM singer") is first
    assert results.ask(other, "SELECT count(*) FROM singer") == [(0,)]
    assert results.ran == ["SELECT count(*) FROM singer"] * 2


def test_a_failure_is_kept_and_raised_again(results, singers):
    for _ in range(2):
        with pytest.raises(StatementError, match="no such column: absent") as caught:
            results.ask(singers, "SELECT absent FROM singer")
        assert not caught.value.slow
    assert results.ran == ["SELECT absent FROM singer"]


def test_the_one_that_was_not_asked_for_longest_is_forgotten(results, singers, monkeypatch):
    monkeypatch.setattr(gold, "_MOST_KEPT", 2)
    for query in ("SELECT 1", "SELECT 2", "SELECT 1", "SELECT 3", "SELECT 1", "SELECT 2"):
        results.ask(singers, query)
    assert results.ran == ["SELECT 1", "SELECT 2", "SELECT 3", "SELECT 2"]


def test_rows_are_bounded_too_but_the_latest_result_is_always_kept(results, singers, monkeypatch):
    monkeypatch.setattr(gold, "_MOST_ROWS_KEPT", 100)
    for query in ("SELECT 1", "SELECT n FROM numbers", "SELECT n FROM numbers", "SELECT 1"):
        results.ask(singers, query)
    assert results.ran == ["SELECT 1", "SELECT n FROM numbers", "SELECT 1"]
