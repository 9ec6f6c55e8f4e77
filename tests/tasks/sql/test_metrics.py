"""The metrics ex and ts: the same limits as ``kdzoo score`` has, and both ways to count failing gold queries."""

import sqlite3

import pytest

from kdzoo.errors import RunError
from kdzoo.recipe import Evaluation
from kdzoo.tasks import registry
from kdzoo.tasks.example import Example, Splits
from kdzoo.tasks.metric import Answers
from kdzoo.tasks.sql import Judge, Limits


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "shop.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1), (2);")
    connection.close()
    return path


@pytest.fixture
def judged(database):
    """Judge predictions for gold queries; gives what comes of it and what is said."""

    def judged(golds, predictions, rule="spider", metric="ex", suite=None, **settings):
        examples = [
            Example(f"dev-{n}", "?", gold, group="shop", database=database, test_suite=suite)
            for n, gold in enumerate(golds)
        ]
        splits = Splits([], examples, sql_rule=rule)
        said = []
        evaluation = Evaluation(metrics=(metric,), input_limit=64, output_limit=64, **settings)
        answers = Answers(splits, examples, predictions, evaluation, said.append, track=None)
        return registry.metrics.find(metric).measure(answers), said

    return judged


@pytest.mark.parametrize(("rule", "metric"), [("spider", "ex"), ("bird", "bird-ex")])
@pytest.mark.parametrize("seconds", [None, 3.0])
def test_a_run_judges_with_the_limits_of_its_metric(judged, monkeypatch, rule, metric, seconds):
    given = []

    class Watched(Judge):
        def __init__(self, limits):
            given.append(limits)
            super().__init__(limits)

    monkeypatch.setattr("kdzoo.tasks.sql.executor.Judge", Watched)
    judged(["SELECT 1"], ["SELECT 1"], rule, **({} if seconds is None else {"time_limit": seconds}))
    assert given == [Limits.of(metric, seconds)]


def test_a_gold_query_that_fails_counts_and_is_told(judged):
    found, said = judged(["SELECT x FROM t", "SELECT y FROM t"], ["SELECT x FROM t"] * 2)
    assert found.score == 0.5
    assert found.details["gold_runs"]["score"] == 1.0
    assert found.lines[1] == {"ex": False, "error": "gold query: shop.sqlite: no such column: y"}
    (line,) = said
    assert "1 gold queries do not run and count as wrong (the score without them is 1.000)" in line
    assert "dev-1" in line


def test_if_no_gold_query_runs_that_is_a_failure(judged):
    with pytest.raises(RunError, match="no gold query runs; the first is dev-0"):
        judged(["SELECT y FROM t"], ["SELECT 1"])


def test_many_slow_predictions_are_told_before_they_are_run(judged, monkeypatch):
    monkeypatch.setattr("kdzoo.tasks.sql.outlook._SHORT_SECONDS", 0.0)
    endless = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x FROM r) SELECT count(*) FROM r"
    found, said = judged(["SELECT 1"], [endless], time_limit=0.2)
    assert found.lines == [{"ex": False, "error": "timeout"}]
    assert said[0].startswith(
        "ex: 1 of 1 predictions did not end in a first try of at most 0.1 s of CPU time. Each may take 0.2 s"
    )
    assert said[0].endswith("evaluation.time_limit lowers it.")


def write(path, script):
    path.parent.mkdir(exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


class TestATestSuiteInAFolderOfItsOwn:
    GOLD = "SELECT max(x) FROM t"
    RIGHT_BY_CHANCE = "SELECT 2"

    @pytest.fixture
    def suite(self, tmp_path):
        """The rows of the second database tell the two queries apart; those of the database itself do not."""
        for name, row in (("shop", 2), ("shop_fuzz1", 7)):
            write(tmp_path / f"suites/{name}.sqlite", f"CREATE TABLE t (x); INSERT INTO t VALUES ({row});")
        return tmp_path / "suites"

    def test_is_what_ts_judges_on_and_ex_does_not(self, judged, suite):
        golds, predictions = (
            [self.GOLD] * 2,
            [self.RIGHT_BY_CHANCE, "SELECT x FROM t ORDER BY x DESC LIMIT 1"],
        )
        found = {m: judged(golds, predictions, metric=m, suite=suite)[0] for m in ("ex", "ts")}
        assert [line["ex"] for line in found["ex"].lines] == [True, True]
        assert [line["ts"] for line in found["ts"].lines] == [False, True]
        # on what lies beside the database, that is on it alone, both are right
        assert judged(golds, predictions, metric="ts")[0].score == 1.0

    def test_need_not_hold_the_database_itself(self, judged, suite):
        (suite / "shop.sqlite").unlink()
        assert judged([self.GOLD], [self.RIGHT_BY_CHANCE], metric="ts", suite=suite)[0].score == 0.0
        assert judged([self.GOLD], ["SELECT 7"], metric="ts", suite=suite)[0].score == 1.0


class TestWhatIsToldOfSuites:
    TS = registry.metrics.find("ts")

    def examples(self, folder, *names, suites=None):
        for name in names:
            (folder / name).mkdir(exist_ok=True)
            (folder / name / f"{name}.sqlite").touch()
        return [
            Example(
                str(n),
                "?",
                "SELECT 1",
                group=name,
                database=folder / name / f"{name}.sqlite",
                test_suite=None if suites is None else suites / name,
            )
            for n, name in enumerate(names)
        ]

    def told(self, examples):
        kinds = (self.TS.problems, self.TS.meaningless, self.TS.notices)
        return [list(kind(examples)) for kind in kinds]

    def test_one_file_a_database_makes_it_a_second_ex(self, tmp_path):
        problems, (meaningless,), notices = self.told(self.examples(tmp_path, "a", "b"))
        assert (problems, notices) == ([], [])
        assert meaningless == (
            '"ts" would be a second "ex": each of the 2 databases has one file only; make test suites by kdzoo data fuzz '
            'DATABASES --questions FILE --out FOLDER and name them by test_suites = "FOLDER", or leave "ts" out'
        )

    def test_so_do_suites_of_one_file(self, tmp_path):
        examples = self.examples(tmp_path, "a", suites=tmp_path)
        problems, (meaningless,), notices = self.told(examples)
        assert (problems, notices) == ([], [])
        assert (
            "no suite in test_suites holds more than one database; kdzoo data fuzz may find others"
            in meaningless
        )

    def test_one_file_for_some_is_worth_a_line(self, tmp_path):
        examples = self.examples(tmp_path, "a", "b")
        (tmp_path / "a/a_1.sqlite").touch()
        problems, meaningless, (notice,) = self.told(examples)
        assert (problems, meaningless) == ([], [])
        assert notice.startswith(
            '1 of 2 databases have no other beside them, so that "ts" judges as "ex" does'
        )

    def test_several_for_all_are_as_they_should_be(self, tmp_path):
        examples = self.examples(tmp_path, "a", "b")
        for name in ("a", "b"):
            (tmp_path / name / f"{name}_1.sqlite").touch()
        assert self.told(examples) == [[], [], []]

    def test_a_folder_of_suites_without_suites(self, tmp_path):
        (tmp_path / "suites").mkdir()
        (problem,), _, _ = self.told(self.examples(tmp_path, "a", "b", suites=tmp_path / "suites"))
        assert problem == (
            f"test_suites: {tmp_path}/suites holds no suite: a/*.sqlite, for example; kdzoo data fuzz DATABASES --questions "
            f"FILE --out {tmp_path}/suites makes them"
        )

    def test_a_folder_without_the_suite_of_one_database(self, tmp_path):
        for number in range(2):
            write(tmp_path / "suites" / f"x{number}.sqlite", "")
        (tmp_path / "suites").rename(tmp_path / "a")
        (tmp_path / "suites").mkdir()
        (tmp_path / "a").rename(tmp_path / "suites/a")
        (problem,), meaningless, _ = self.told(self.examples(tmp_path, "a", "b", suites=tmp_path / "suites"))
        assert "holds no suite for 1 of 2 databases: b/*.sqlite, for example" in problem
        assert meaningless == []

    def test_no_database_is_no_suite_of_one(self):
        assert self.told([Example("1", "?", "SELECT 1")]) == [[], [], []]
