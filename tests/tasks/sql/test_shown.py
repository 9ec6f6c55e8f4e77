"""The rows that a statement gives, as a person is shown them: the first of them, long values cut."""

import pytest

from kdzoo.tasks.sql import Limits
from kdzoo.tasks.sql.request import Result
from kdzoo.tasks.sql.row_reader import RowReader


@pytest.fixture(scope="module")
def reader():
    with RowReader(Limits.of("ex", 1.0)) as reader:
        yield reader


@pytest.fixture
def show(reader, singers):
    return lambda statement, most=3: reader.run(statement, singers, most)


def test_rows_have_names_and_values(show):
    assert show(
        "SELECT name, age AS years, height FROM singer WHERE singer_id > 2 ORDER BY 1"
    ).result == Result(["name", "years", "height"], [["Bo", 20, None], ["Tim", 31, 175.0]], False)
    assert show("SELECT n FROM numbers WHERE n < 0").result == Result(["n"], [], False)


@pytest.mark.parametrize(("most", "more"), [(999, True), (1000, False)])
def test_there_may_be_more(show, most, more):
    found = show("SELECT n FROM numbers", most).result
    assert (len(found.rows), found.more) == (most, more)


def test_an_endless_statement_gives_its_first_rows(show):
    endless = "WITH RECURSIVE r(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM r) SELECT x FROM r"
    assert show(endless).result == Result(["x"], [[0], [1], [2]], True)


def test_long_values_and_many_columns_are_cut(show):
    (text, long_bytes, short_bytes), *_ = show(
        "SELECT replace(hex(zeroblob(500)), '00', 'ab'), zeroblob(500), x'00ff'"
    ).result.rows
    assert (len(text), text[:4], text[-1]) == (200, "abab", "…")
    assert long_bytes == f"x'{'00' * 16}…'"
    assert short_bytes == "x'00ff'"
    wide = show("SELECT " + ", ".join(f"{n} AS c{n}" for n in range(80))).result
    assert (len(wide.columns), wide.columns[-1], wide.rows[0][-2:]) == (51, "… 30 more", [49, "…"])


def test_more_than_a_pipe_holds_at_once_comes_whole(show):
    rows = show("SELECT n, printf('%.*c', 190, 'x') FROM numbers", 1000).result.rows
    assert [row[0] for row in rows] == list(range(1000))
    assert {len(row[1]) for row in rows} == {190}


def test_text_that_is_not_utf8_is_shown(show):
    assert show("SELECT CAST(x'52656ee9' AS TEXT)").result.rows == [["Ren\ufffd"]]


def test_distinct_counts_and_split_signs_are_joined(show):
    assert show("SELECT DISTINCT age FROM singer WHERE age > = 31 AND name != 'Joe'").result.rows == [[31]]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT nam FROM singer", "no such column: nam"),
        ("SELEC", 'near "SELEC": syntax error'),
        (" \n", "no statement"),
        ("DELETE FROM singer", "not allowed: not authorized"),
        ("ATTACH 'x.sqlite' AS x", "not allowed"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ("SELECT '\0'", "NUL character"),
        (
            "WITH RECURSIVE r(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM r) SELECT count(*) FROM r",
            "timeout",
        ),
    ],
)
def test_why_there_are_none_is_told(show, singers, statement, reason):
    before = singers.read_bytes()
    found = show(statement)
    assert (found.right, found.result) == (False, None)
    assert reason in found.reason
    assert singers.read_bytes() == before
