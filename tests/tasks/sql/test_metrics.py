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

    def judged(golds, predictions, rule="spider", metric="ex", **settings):
        examples = [
            Example(f"dev-{n}", "?", gold, group="shop", database=database) for n, gold in enumerate(golds)
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
