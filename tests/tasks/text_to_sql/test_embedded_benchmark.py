"""The embedded benchmark: the same everywhere, honest in its split, every query runs and tells apart."""

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest

from kdzoo.errors import UserError
from kdzoo.tasks.fingerprint import fingerprint_of_data
from kdzoo.tasks.load import load
from kdzoo.tasks.sql import Item, Judge
from kdzoo.tasks.sql.suite import suite_of
from kdzoo.tasks.text_to_sql.embedded_benchmark import EmbeddedData


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def splits(cache):
    return load(EmbeddedData(kind="embedded", questions=2000, test_questions=200), cache=cache)


def test_sizes_and_groups(splits):
    assert len(splits.train) == 2000
    assert len(splits.evaluation) == 200
    assert len({e.group for e in splits.train}) == 6


def test_no_query_and_no_question_of_the_test_is_in_training(splits):
    trained = {(e.group, e.target) for e in splits.train}
    asked = {(e.group, e.question) for e in splits.train}
    assert not any(
        (e.group, e.target) in trained or (e.group, e.question) in asked for e in splits.evaluation
    )


def test_all_kinds_of_questions_are_trained_and_tested(splits):
    kinds = Counter(e.difficulty for e in splits.train)
    assert len(kinds) == 20
    assert len({e.difficulty for e in splits.evaluation}) >= 15


def test_every_gold_query_runs_and_most_give_rows(splits):
    with_rows = 0
    for example in splits.train + splits.evaluation:
        connection = sqlite3.connect(f"file:{example.database}?mode=ro", uri=True)
        with_rows += bool(connection.execute(example.target).fetchall())
        connection.close()
    assert with_rows >= 0.95 * (len(splits.train) + len(splits.evaluation))


def test_execution_tells_different_queries_apart(splits):
    """Another question's query on the same database is seldom right."""
    by_group = {}
    for example in splits.evaluation:
        by_group.setdefault(example.group, []).append(example)
    items = [Item(a.target, b.target, a.database) for group in by_group.values() for a, b in pairwise(group)]
    with Judge() as judge:
        right = sum(verdict.right for verdict in judge.judge(items, "ex"))
    assert right <= 0.03 * len(items)


def test_the_same_on_every_machine_and_in_every_process(tmp_path):
    program = (
        "import hashlib, sys; from pathlib import Path\n"
        "from kdzoo.tasks.text_to_sql.embedded_benchmark import EmbeddedData; from kdzoo.tasks.load import load\n"
        "s = load(EmbeddedData(kind='embedded', questions=200, test_questions=20), cache=Path(sys.argv[1]))\n"
        "print(hashlib.sha256(repr([(e.id, e.prompt, e.target) for e in s.train + s.evaluation]).encode()).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / seed)],
            env={"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_another_seed_gives_other_questions(cache, splits):
    other = load(EmbeddedData(kind="embedded", seed=1, questions=2000, test_questions=200), cache=cache)
    assert {e.question for e in other.train} != {e.question for e in splits.train}


def test_more_questions_than_there_are_is_an_error(cache):
    config = EmbeddedData(
        kind="embedded", questions=1000, test_questions=10, databases=1, families=("columns",)
    )
    with pytest.raises(UserError, match="fewer"):
        load(config, cache=cache)


def test_the_fingerprint_follows_the_settings():
    prints = {fingerprint_of_data(EmbeddedData(kind="embedded", seed=seed)) for seed in (0, 0, 1)}
    assert len(prints) == 2


def test_databases_may_be_named(cache):
    named = load(
        EmbeddedData(kind="embedded", questions=60, test_questions=10, databases=("shop", "music")),
        cache=cache,
    )
    assert {e.group for e in named.train + named.evaluation} == {"shop", "music"}
    with pytest.raises(ValueError, match="no database is called 'musik'; did you mean \"music\""):
        EmbeddedData(kind="embedded", databases=("musik",))
    with pytest.raises(ValueError, match="must name at least one database"):
        EmbeddedData(kind="embedded", databases=())


class TestWrongSQL:
    def load(self, cache, **keys):
        return load(EmbeddedData(kind="embedded", questions=2000, test_questions=200, **keys), cache=cache)

    def test_stands_at_so_many_training_questions_and_at_no_other(self, cache, splits):
        wrong = self.load(cache, wrong_sql=0.3)
        assert wrong.evaluation == splits.evaluation
        assert [e.prompt for e in wrong.train] == [e.prompt for e in splits.train]
        differing = sum(a.target != b.target for a, b in zip(wrong.train, splits.train, strict=True))
        assert 0.25 * 2000 < differing < 0.32 * 2000  # by chance some are given their own

    def test_is_another_question_s_of_the_same_kind_and_database(self, cache, splits):
        known = {(e.group, e.difficulty, e.target) for e in splits.train}
        wrong = self.load(cache, wrong_sql=0.5)
        assert {(e.group, e.difficulty, e.target) for e in wrong.train} <= known

    def test_of_a_smaller_fraction_is_that_of_a_greater_as_well(self, cache, splits):
        few, many = (self.load(cache, wrong_sql=fraction).train for fraction in (0.1, 0.4))
        for right, one, other in zip(splits.train, few, many, strict=True):
            assert one.target in (right.target, other.target)


def test_the_first_training_questions_are_those_of_the_whole(cache, splits):
    few = load(EmbeddedData(kind="embedded", questions=2000, test_questions=200, max_train=150), cache=cache)
    assert few.train == splits.train[:150]
    assert few.evaluation == splits.evaluation


class TestTestSuites:
    def test_have_five_databases_of_one_schema_and_different_rows(self, splits):
        for database in {e.database for e in splits.evaluation}:
            suite = suite_of(database)
            assert len(suite) == 5
            assert database in suite
            schemas, contents = set(), set()
            for file in suite:
                with sqlite3.connect(file) as connection:
                    schema = tuple(connection.execute("SELECT sql FROM sqlite_master ORDER BY name"))
                    tables = [
                        name
                        for (name,) in connection.execute(
                            "SELECT name FROM sqlite_master WHERE type = 'table'"
                        )
                    ]
                    rows = tuple(
                        row for table in tables for row in connection.execute(f"SELECT * FROM {table}")
                    )
                connection.close()
                schemas.add(schema)
                contents.add(rows)
            assert (len(schemas), len(contents)) == (1, 5)

    def test_tell_apart_what_one_database_cannot(self, splits):
        """A constant that happens to be the answer is right on the database itself and nowhere else."""
        items = []
        # Spider's rule counts a query without its DISTINCT
        for example in (e for e in splits.evaluation if "DISTINCT" not in e.target):
            connection = sqlite3.connect(example.database)
            rows = connection.execute(example.target).fetchall()
            connection.close()
            if len(rows) == 1 and isinstance(rows[0][0], int) and len(rows[0]) == 1:
                items.append(Item(example.target, f"SELECT {rows[0][0]}", example.database))
        assert len(items) > 20
        with Judge() as judge:
            right = {metric: sum(v.right for v in judge.judge(items, metric)) for metric in ("ex", "ts")}
        assert right["ex"] == len(items)
        assert right["ts"] < 0.2 * len(items)

    def test_gold_queries_are_right_on_them(self, splits):
        items = [Item(e.target, e.target, e.database) for e in splits.evaluation]
        with Judge() as judge:
            assert all(verdict.right for verdict in judge.judge(items, "ts"))
