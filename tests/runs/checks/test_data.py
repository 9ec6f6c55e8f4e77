"""Data that a stage can do nothing with are refused, and what scores would hide is told, before a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kdzoo.recipe import rehearsed
from kdzoo.recipe.problems import Problems
from kdzoo.runs.checks.data import check_data
from kdzoo.tasks.example import Example, Splits

Check = Any  # of conftest.py
STAGE_OF_KID = '[[stage]]\nkind = "distill"\nmethod = "kid"\n'
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

    def test_of_the_set_that_a_training_is_scored_on_alone(self, check: Check) -> None:
        more = '[evaluation_sets.new]\n[evaluation_sets.known]\nevaluation = "train.jsonl"\n'
        (line,) = check("kid", more=more, overrides=("kid.evaluate_every=5", "kid.evaluate_set=known"))
        assert line.startswith("./r.toml:11: evaluation_sets.known.evaluation: 4 of 4")
        assert check("kid", more=more, overrides=("kid.evaluate_every=5",)) == []

    def test_mean_nothing_where_nothing_is_evaluated(self, check: Check) -> None:
        check.text = check.text.replace("evaluation.jsonl", "train.jsonl")
        assert check("kid") == []


class TestSuites:
    """Test-suite accuracy on one database a schema is execution accuracy."""

    def told(
        self,
        check: Check,
        metrics: str,
        *files: str,
        more: str = "",
        rehearse: bool = False,
        suites: str | None = None,
        stages: tuple[str, ...] = ("sft", "evaluate"),
    ) -> tuple[list[str], list[str]]:
        """The problems and the notices of two questions on two databases."""
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
        recipe = check.recipe(*stages, more=f"[evaluation]\nmetrics = {metrics}\n{more}")
        recipe = rehearsed(recipe) if rehearse else recipe
        examples = [Example(str(n), "q", "select", database=database) for n, database in enumerate(databases)]
        if suites is not None:
            examples = [
                replace(e, test_suite=check.folder / suites / e.database.parent.name) for e in examples
            ]
        splits = Splits([Example("t", "p", "select")], examples, "spider")
        problems, notices = Problems.of(recipe), Problems.of(recipe)
        check_data(recipe, recipe.stages, lambda data: splits, problems, notices)
        return tuple(
            [line.replace(str(check.folder), ".") for line in of.texts] for of in (problems, notices)
        )

    def test_of_one_are_told(self, check: Check) -> None:
        problems, notices = self.told(check, '["ex", "ts"]', "two/two_1.sqlite")
        assert problems == []
        assert notices == [
            './r.toml:6: evaluation.metrics: 1 of 2 databases have no other beside them, so that "ts" judges as "ex" does; '
            "kdzoo data fuzz makes a test suite"
        ]

    def test_of_one_everywhere_are_refused_at_the_key_that_asks_for_them(self, check: Check) -> None:
        (problem,), notices = self.told(check, '["ex", "ts"]')
        assert problem.startswith(
            './r.toml:6: evaluation.metrics: "ts" would be a second "ex": each of the 2 databases has one file only; '
        )
        assert "kdzoo data fuzz" in problem
        assert "test_suites = " in problem
        assert notices == []

    def test_of_a_set_are_told_with_its_name_and_line(self, check: Check) -> None:
        (problem,), _ = self.told(check, '["ex"]', more='[evaluation_sets.dev]\nmetrics = ["ts"]\n')
        assert problem.startswith(
            './r.toml:8: evaluation_sets.dev.metrics: set "dev": "ts" would be a second "ex": '
        )

    def test_of_a_training_s_scores_are_told_as_an_evaluation_s(self, check: Check) -> None:
        more = '[training]\nevaluate_every = 5\nevaluate_metric = "ts"\n'
        (problem,), notices = self.told(check, '["ex"]', more=more, stages=("sft",))
        assert problem.startswith('./r.toml:9: training.evaluate_metric: "ts" would be a second "ex": ')
        assert notices == []

    @pytest.mark.parametrize(
        ("more", "place"),
        [
            ("", "6: evaluation.metrics: "),
            ('[evaluation_sets.dev]\nmetrics = ["ts"]\n', '8: evaluation_sets.dev.metrics: set "dev": '),
        ],
    )
    def test_of_a_training_s_scores_are_told_where_their_metric_is_given(
        self, check: Check, more: str, place: str
    ) -> None:
        more += "[training]\nevaluate_every = 5\n"
        (problem,), _ = self.told(check, '["ts"]', more=more, stages=("sft",))
        assert problem.startswith(f'./r.toml:{place}"ts" would be a second "ex": ')

    def test_of_a_training_s_scores_in_part_are_a_notice(self, check: Check) -> None:
        more = "[training]\nevaluate_every = 5\n"
        problems, (notice,) = self.told(check, '["ts"]', "two/two_1.sqlite", more=more, stages=("sft",))
        assert problems == []
        assert "1 of 2 databases have no other beside them" in notice

    def test_that_a_folder_lacks_are_told_and_nothing_else_of_them(self, check: Check) -> None:
        (problem,), notices = self.told(check, '["ts"]', suites="empty")
        assert problem.startswith(
            "./r.toml:6: evaluation.metrics: test_suites: ./empty holds no suite: one/*.sqlite, for example; kdzoo data fuzz"
        )
        assert notices == []

    def test_of_one_are_a_line_in_a_rehearsal(self, check: Check) -> None:
        problems, (notice,) = self.told(check, '["ts"]', rehearse=True)
        assert problems == []
        assert 'evaluation.metrics: "ts" would be a second "ex"' in notice
        assert notice.endswith("; the run itself refuses this, and scores of a rehearsal say nothing")

    def test_only_of_the_questions_that_are_asked_count(self, check: Check) -> None:
        assert self.told(check, '["ts"]', "one/one_1.sqlite", more="max_examples = 1\n") == ([], [])

    def test_of_several_are_not(self, check: Check) -> None:
        assert self.told(check, '["ts"]', "one/one_1.sqlite", "two/two_1.sqlite") == ([], [])

    def test_do_not_count_for_other_metrics(self, check: Check) -> None:
        assert self.told(check, '["ex"]') == ([], [])


class TestEvaluationSets:
    SETS = """\
[evaluation_sets.new]
[evaluation_sets.known]
evaluation = "train.jsonl"
"""

    def test_that_hold_training_examples_are_told_by_their_own_line(self, check: Check) -> None:
        assert check("kid", "evaluate", more=self.SETS) == [
            "./r.toml:11: evaluation_sets.known.evaluation: 4 of 4 evaluation examples are training examples too; scores "
            "on them say what was learnt by heart"
        ]

    def test_that_no_stage_scores_are_not_looked_at(self, check: Check) -> None:
        stage = '[[stage]]\nkind = "evaluate"\nsets = ["new"]\n'
        assert check(more=self.SETS + STAGE_OF_KID + stage) == []

    def test_must_have_examples(self, check: Check) -> None:
        check.save_data("none", [])
        more = '[evaluation_sets.none]\nevaluation = "none.jsonl"\n'
        assert check.refused("kid", "evaluate", more=more) == (
            "stage 'evaluate': the data of the set \"none\" hold no example to evaluate"
        )
        assert check.refused("kid", more=more, overrides=("kid.evaluate_every=5",)) == (
            "stage 'kid': the data of the set \"none\" hold no example to score it on (evaluate_every)"
        )


class TestDatasets:
    """A stage that trains on another dataset is checked on that one."""

    STAGE = '[[stage]]\nkind = "distill"\nmethod = "sft"\ndata = "other"\n'

    def test_each_stage_s_own_must_have_examples(self, check: Check) -> None:
        check.save_data("other", [])
        more = '[datasets.other]\nkind = "jsonl"\ntrain = "other.jsonl"\n' + self.STAGE
        assert check.refused(more=more) == "stage 'sft': the data hold no example to train on"

    def test_the_files_of_data_that_no_stage_reads_need_not_be_there(self, check: Check) -> None:
        check.save_data("other", [("select", "where")])
        for name in ("train", "evaluation"):
            (check.folder / f"{name}.jsonl").unlink()
        more = '[datasets.other]\nkind = "jsonl"\ntrain = "other.jsonl"\n' + self.STAGE
        assert check(more=more) == []


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


class TestBestWeights:
    """Weights that are chosen by the questions that the model is then scored on look better than they are."""

    BEST = ("kid.evaluate_every=5", "kid.keep_best=true")

    def test_chosen_by_the_evaluated_set_are_told(self, check: Check) -> None:
        (line,) = check("kid", "evaluate", overrides=self.BEST)
        assert line == (
            '--set kid.keep_best=true: the best weights of "kid" are chosen by questions of the set "jsonl" that the stage '
            '"evaluate" scores it on too, which flatters it; evaluate_set names another'
        )

    def test_chosen_by_another_set_are_not(self, check: Check) -> None:
        more = "[evaluation_sets.test]\n[evaluation_sets.held]\n"
        apart = (*self.BEST, "kid.evaluate_set=held", "evaluate.sets=['test']")
        assert check("kid", "evaluate", more=more, overrides=apart) == []

    def test_of_a_training_that_nothing_evaluates_are_not(self, check: Check) -> None:
        assert check("kid", "evaluate", overrides=(*self.BEST, "evaluate.models=['teacher']")) == []
