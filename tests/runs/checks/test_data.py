"""Data that a stage can do nothing with are refused, and what scores would hide is told, before a run."""

from __future__ import annotations

from typing import Any

import pytest

from kdzoo.recipe.problems import Problems
from kdzoo.runs.checks.data import check_data
from kdzoo.tasks.example import Example, Splits

Check = Any  # of conftest.py
GROUPED = '[training]\ngroup_by = "database"\n'


class TestGroups:
    def test_must_be_there_where_batches_are_drawn_by_them(self, check: Check) -> None:
        assert check.refused("kid", more=GROUPED) == (
            './r.toml:10: training.group_by: no training example belongs to a group; leave it out, or give the examples a "group" '
            "each"
        )

    def test_of_a_stage_s_own_are_told_by_its_line(self, check: Check) -> None:
        stage = '[[stage]]\nkind = "distill"\nmethod = "sft"\ntraining = { group_by = "database" }\n'
        assert check.refused(more=stage).startswith(
            './r.toml:12: stage "sft": training.group_by: no training'
        )

    def test_that_some_examples_lack_are_told(self, check: Check) -> None:
        check.save_data("train", [("select", "from")] * 5, groups=["a", None, "a", None, "b"])
        assert check("kid", more=GROUPED) == [
            "./r.toml:10: training.group_by: 2 of 5 training examples belong to no group and are drawn alone"
        ]

    def test_that_all_have_are_not_told(self, check: Check) -> None:
        check.save_data("train", [("select", "from")] * 2, groups=["a", "b"])
        assert check("kid", more=GROUPED) == []


class TestTrainedExamples:
    """Scores on what was trained on say little of a model; that is told, and may be meant."""

    def test_one_file_for_both(self, check: Check) -> None:
        check.text = check.text.replace("evaluation.jsonl", "train.jsonl")
        assert check("kid", "evaluate") == [
            "./r.toml:4: data.evaluation: 4 of 4 evaluation examples are training examples too; scores on them say "
            "what was learnt by heart"
        ]

    def test_a_file_that_has_some_of_the_other(self, check: Check) -> None:
        check.save_data("evaluation", [("where", "select"), ("select", "from where"), ("select", "where")])
        (line,) = check("kid", "evaluate")
        assert "1 of 3 evaluation examples are training examples too" in line

    def test_count_where_scores_are_taken_while_training(self, check: Check) -> None:
        check.text = check.text.replace("evaluation.jsonl", "train.jsonl")
        (line,) = check("kid", overrides=("training.evaluate_every=5",))
        assert "4 of 4 evaluation examples are training examples too" in line

    def test_mean_nothing_where_nothing_is_evaluated(self, check: Check) -> None:
        check.text = check.text.replace("evaluation.jsonl", "train.jsonl")
        assert check("kid") == []


class TestSuites:
    """Test-suite accuracy on one database a schema is execution accuracy."""

    def told(self, check: Check, metrics: str, *files: str) -> list[str]:
        databases = [check.folder / name / f"{name}.sqlite" for name in ("one", "two")]
        for database in databases:
            database.parent.mkdir()
            database.touch()
        for file in files:
            (check.folder / file).touch()
        check.text = check.text.split("[teacher]")[0].replace(
            'kind = "jsonl"\ntrain = "train.jsonl"\nevaluation = "evaluation.jsonl"', 'kind = "embedded"'
        )
        check.text += '[student]\npath = "student"\n'
        recipe = check.recipe("sft", "evaluate", more=f"[evaluation]\nmetrics = {metrics}\n")
        examples = [Example(str(n), "q", "select", database=database) for n, database in enumerate(databases)]
        train = [Example("t", "p", "select")]
        problems, notices = Problems.of(recipe), Problems.of(recipe)
        check_data(recipe, recipe.stages, Splits(train, examples, "sql", "spider"), problems, notices)
        assert problems.texts == []
        return [line.replace(str(check.folder), ".") for line in notices.texts]

    def test_of_one_are_told(self, check: Check) -> None:
        assert self.told(check, '["ex", "ts"]', "two/two_1.sqlite") == [
            './r.toml:6: evaluation.metrics: 1 of 2 databases have no other beside them, so that "ts" judges as "ex" does; '
            "kdzoo data fuzz makes a test suite"
        ]

    def test_of_several_are_not(self, check: Check) -> None:
        assert self.told(check, '["ts"]', "one/one_1.sqlite", "two/two_1.sqlite") == []

    def test_do_not_count_for_other_metrics(self, check: Check) -> None:
        assert self.told(check, '["ex"]') == []


@pytest.mark.parametrize(("split", "stage"), [("train", "kid"), ("evaluation", "evaluate")])
def test_there_must_be_examples(check: Check, split: str, stage: str) -> None:
    check.save_data(split, [])
    wanted = {"train": "train on", "evaluation": "evaluate"}[split]
    assert check.refused("kid", "evaluate") == f"stage {stage!r}: the data hold no example to {wanted}"


def test_targets_of_blanks_are_told_by_their_line(check: Check) -> None:
    check.save_data("train", [("select", "from"), ("select", " \n\t")])
    assert check.refused("kid").startswith("./train.jsonl:2: its target is blank")


def test_a_directory_that_cannot_be_made_is_told_before_anything_is_looked_at(check: Check) -> None:
    (check.folder / "taken").touch()
    check.directory = check.folder / "taken/runs/r"
    for role in ("teacher", "student"):
        (check.folder / role / "config.json").write_text("{")
    assert check.refused("kid", exit_code=1) == (
        "cannot write below ./taken/runs/r: ./taken: Not a directory"
    )
