"""A suite tells mutants from gold queries that the one database cannot tell apart."""

import pytest

from kdzoo.errors import RunError
from kdzoo.tasks.sql import Item, Verdict
from kdzoo.tasks.sql.fuzz.build import Effort, build_suite

# all are French, tall and named alike: most conditions can be left out without anyone noticing
WEAK = """
    CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, country TEXT, height INT);
    INSERT INTO singer VALUES (1, 'Joe', 'France', 180), (2, 'Joe', 'France', 180);
"""
QUERIES = [
    "SELECT name FROM singer WHERE country = 'France'",
    "SELECT count(*) FROM singer WHERE height > 170",
    "SELECT count(*) FROM singer WHERE height > 170",
    "SELECT name FROM singer ORDER BY height DESC LIMIT 1",
]


@pytest.fixture
def weak(build_database):
    return build_database(WEAK, "singer")


def build(database, folder, judge, queries=QUERIES, seed=3, **effort):
    folder.mkdir()
    return build_suite(database, queries, folder, judge, Effort(**effort), seed)


def test_the_suite_catches_what_the_database_misses(weak, judge, tmp_path):
    suite = build(weak, tmp_path / "out", judge, candidates=20)
    assert suite.queries == 3
    assert suite.caught_by_one < suite.caught <= suite.mutants
    assert suite.caught - suite.caught_by_one >= 5
    assert suite.files == sorted((tmp_path / "out").iterdir())
    assert [file.name for file in suite.files[:2]] == ["singer_fuzz1.sqlite", "singer_fuzz2.sqlite"]
    # a left-out condition is among them
    wrong = "SELECT name FROM singer"
    assert judge.judge([Item(QUERIES[0], wrong, weak)], "ex") == [Verdict(True)]
    verdicts = judge.judge([Item(QUERIES[0], wrong, file) for file in suite.files], "ex")
    assert Verdict(False) in verdicts
    # and the gold queries run on every file
    for file in suite.files:
        assert judge.judge([Item(q, q, file) for q in QUERIES], "ex") == [Verdict(True)] * 4


def test_the_same_seed_gives_the_same_suite(weak, judge, tmp_path):
    suites = [
        build(weak, tmp_path / str(n), judge, seed=seed, candidates=6) for n, seed in enumerate([1, 1, 2])
    ]
    contents = [[file.read_bytes() for file in suite.files] for suite in suites]
    assert contents[0] == contents[1] != contents[2]


def test_no_more_are_kept_than_wanted(weak, judge, tmp_path):
    suite = build(weak, tmp_path / "out", judge, candidates=20, most_kept=1)
    assert len(suite.files) == len(list((tmp_path / "out").iterdir())) == 1


def test_queries_that_fail_or_have_no_mutants_are_passed_over(weak, judge, tmp_path):
    suite = build(
        weak, tmp_path / "out", judge, ["SELECT x FROM nowhere", "broken (", "SELECT 'a' FROM singer"]
    )
    assert suite.queries <= 1
    suite = build(weak, tmp_path / "none", judge, [])
    assert (suite.queries, suite.mutants, suite.caught, suite.files) == (0, 0, 0, [])


def test_a_file_that_is_no_database_is_an_error(judge, tmp_path):
    broken = tmp_path / "x.sqlite"
    broken.write_bytes(b"no database" * 100)
    with pytest.raises(RunError, match=r"x\.sqlite: cannot be read"):
        build(broken, tmp_path / "out", judge)
