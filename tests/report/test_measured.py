"""From the records of a run's stages to what was measured of each model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_runs import HEAD, KID, SFT, MadeRun

from kdzoo.report.measured import Column, MeasuredModel, measured_models
from kdzoo.report.runs_read import read_run

TEACHER = 'kind = "finetune"'
BASE = 'kind = "finetune"\nname = "base"\nmodel = "student"'

Measure = Callable[..., list[MeasuredModel]]


def evaluate(name: str, *models: str) -> str:
    return f'kind = "evaluate"\nname = "{name}"\nmodels = {list(models)}'


def ex(*values: float) -> Mapping[str, Mapping[str, Sequence[float]]]:
    return {"embedded": {"ex": values}}


@pytest.fixture
def measure(tmp_path: Path) -> Measure:
    def measure(
        stages: Sequence[str], answers: Mapping[str, Any] | None = None, **more: Any
    ) -> list[MeasuredModel]:
        notes: list[str] = []
        models = measured_models(
            read_run(MadeRun(stages, answers or {}, **more).write(tmp_path / "r")), notes
        )
        assert notes == []
        return models

    return measure


def test_each_model_has_its_scores_its_answers_and_the_stage_that_trained_it(measure: Measure) -> None:
    stages = [TEACHER, SFT, KID, evaluate("end", "teacher", "sft", "kid")]
    teacher, sft, kid = measure(stages, {"teacher": ex(1, 1), "sft": ex(1, 0), "kid": ex(0, 0)})
    assert [model.name for model in (teacher, sft, kid)] == ["teacher", "sft", "kid"]
    assert [model.role for model in (teacher, sft, kid)] == ["teacher", "student", "student"]
    assert sft.trained is not None
    assert sft.trained.name == "sft"
    assert sft.columns == [Column("embedded", "ex")]
    assert sft.sets["embedded"].scores == {"ex": 0.5}
    assert sft.parameters == 1000
    answers = sft.sets["embedded"].answers
    assert [(q.id, a.values["ex"], a.gold) for q, a in answers.items()] == [
        ("embedded-0", True, "SELECT 0"),
        ("embedded-1", False, "SELECT 1"),
    ]


def test_runs_that_know_no_sets_have_one_called_after_their_data(tmp_path: Path) -> None:
    run = MadeRun([SFT, evaluate("end", "sft")], {"sft": ex(1, 0)}).write(tmp_path / "r")
    file = run / "end" / "stage.json"
    record = json.loads(file.read_text())
    model = record["results"]["models"]["sft"]
    record["results"]["models"]["sft"] = {"parameters": 7, **model["sets"]["embedded"]}
    file.write_text(json.dumps(record))
    lines = [json.loads(line) for line in (run / "end" / "predictions.jsonl").read_text().splitlines()]
    (run / "end" / "predictions.jsonl").write_text(
        "".join(json.dumps({k: v for k, v in line.items() if k != "set"}) + "\n" for line in lines)
    )
    (sft,) = measured_models(read_run(run), [])
    assert sft.sets["embedded"].scores == {"ex": 0.5}
    assert len(sft.sets["embedded"].answers) == 2


def test_a_model_as_it_came_was_trained_by_no_stage(measure: Measure) -> None:
    (student,) = measure([evaluate("before", "student"), BASE], {"student": ex(0, 1)})
    assert (student.name, student.trained, student.training) == ("student", None, None)


def test_one_model_before_and_after_training_is_two(measure: Measure) -> None:
    stages = [evaluate("before", "student"), BASE, evaluate("after", "student")]
    before, after = measure(stages, {"student": ex(0, 1)})
    assert (before.name, before.trained) == ("student (before)", None)
    assert after.name == "student (after)"
    assert after.trained is not None


def test_what_several_stages_measured_of_one_model_stands_together(tmp_path: Path) -> None:
    first = 'kind = "evaluate"\nname = "first"\nevaluation = { metrics = ["ex"] }'
    second = 'kind = "evaluate"\nname = "second"\nevaluation = { metrics = ["ts"] }'
    run = MadeRun([KID, first, second], {"kid": {"embedded": {"ex": [1, 0], "ts": [0, 0]}}}).write(
        tmp_path / "r"
    )
    for stage, metric in (("first", "ts"), ("second", "ex")):
        for name in ("stage.json", "predictions.jsonl"):
            file = run / stage / name
            file.write_text(file.read_text().replace(f'"{metric}"', '"other"'))
        record = json.loads((run / stage / "stage.json").read_text())
        del record["results"]["models"]["kid"]["sets"]["embedded"]["scores"]["other"]
        (run / stage / "stage.json").write_text(json.dumps(record))
    (kid,) = measured_models(read_run(run), [])
    assert kid.sets["embedded"].scores == {"ex": 0.5, "ts": 0.0}
    assert [(a.values["ex"], a.values["ts"]) for a in kid.sets["embedded"].answers.values()] == [
        (True, False),
        (False, False),
    ]


def test_the_same_metric_measured_twice_is_two(measure: Measure) -> None:
    found = measure([KID, evaluate("few", "kid"), evaluate("all", "kid")], {"kid": ex(1, 0)})
    assert [model.name for model in found] == ["kid (few)", "kid (all)"]


def test_what_is_to_be_evaluated_stands_there_without_scores(measure: Measure) -> None:
    sft, kid = measure([SFT, KID, 'kind = "evaluate"'], unfinished=["kid", "evaluate"])
    assert (sft.columns, kid.columns) == ([], [])
    assert sft.training is not None
    assert kid.training is None


def test_questions_that_are_alike_are_counted_apart(tmp_path: Path) -> None:
    run = MadeRun([SFT, evaluate("end", "sft")], {"sft": ex(1, 0)}).write(tmp_path / "r")
    file = run / "end" / "predictions.jsonl"
    file.write_text(file.read_text().replace("embedded-1", "embedded-0").replace("of 1?", "of 0?"))
    (sft,) = measured_models(read_run(run), [])
    assert [question.nth for question in sft.sets["embedded"].answers] == [0, 1]


def test_truncated_predictions_leave_the_score_and_are_told(tmp_path: Path) -> None:
    run = MadeRun([SFT, evaluate("end", "sft")], {"sft": ex(1, 0)}).write(tmp_path / "r")
    file = run / "end" / "predictions.jsonl"
    file.write_text(file.read_text()[:-30])
    notes: list[str] = []
    (sft,) = measured_models(read_run(run), notes)
    assert sft.sets["embedded"].scores == {"ex": 0.5}
    assert sft.sets["embedded"].answers == {}
    assert "predictions.jsonl:2: not valid JSON" in notes[0]
    assert "no intervals and no tests" in notes[0]


@pytest.mark.parametrize("score", ["x", [], {"a": 1}])
def test_what_is_no_number_is_no_score(tmp_path: Path, score: Any) -> None:
    run = MadeRun([SFT, evaluate("end", "sft")], {"sft": ex(1, 0)}).write(tmp_path / "r")
    file = run / "end" / "stage.json"
    record = json.loads(file.read_text())
    record["results"]["models"]["sft"]["parameters"] = "many"
    record["results"]["models"]["sft"]["sets"]["embedded"]["scores"]["ex"] = score
    file.write_text(json.dumps(record))
    (sft,) = measured_models(read_run(run), [])
    assert sft.sets["embedded"].scores == {"ex": None}
    assert sft.parameters is None


def test_halves_of_characters_are_replaced(tmp_path: Path) -> None:
    made = MadeRun(
        [SFT, evaluate("end", "sft")], {"sft": ex(1, 0)}, prediction="a\ud800b", question="\udfffc"
    )
    (sft,) = measured_models(read_run(made.write(tmp_path / "r")), [])
    question, answer = next(iter(sft.sets["embedded"].answers.items()))
    assert (question.text, answer.prediction) == ("?c", "a?b")


class TestBaseline:
    def baseline(self, measure: Measure, stages: Sequence[str], *models: str) -> list[str]:
        found = measure([*stages, evaluate("end", *models)], {model: ex(1, 0) for model in models})
        return [model.name for model in found if model.is_baseline]

    def test_it_is_the_student_distilled_without_a_teacher(self, measure: Measure) -> None:
        stages = [TEACHER, BASE, KID, SFT]
        assert self.baseline(measure, stages, "teacher", "student", "kid", "sft") == ["sft"]

    def test_it_is_no_student_that_learnt_from_itself(self, measure: Measure) -> None:
        itself = 'kind = "distill"\nmethod = "opsd"\noptions.teacher = "student"'
        assert self.baseline(measure, [itself, SFT], "opsd", "sft") == ["sft"]

    def test_else_a_student_that_was_finetuned(self, measure: Measure) -> None:
        assert self.baseline(measure, [TEACHER, BASE, KID], "teacher", "student", "kid") == ["student"]

    def test_but_not_one_that_others_start_from(self, measure: Measure) -> None:
        stages = [TEACHER, BASE, f'{KID}\nstudent_from = "base"']
        assert self.baseline(measure, stages, "student", "kid") == []

    def test_each_dataset_that_students_learn_from_has_its_own(self, measure: Measure) -> None:
        head = f'{HEAD}[datasets.other]\nkind = "embedded"\nseed = 1\n'
        sft = 'kind = "distill"\nmethod = "sft"\nname = "{}"\ndata = "other"'
        stages = [
            SFT,
            sft.format("other"),
            sft.format("again"),
            KID,
            evaluate("end", "sft", "other", "again"),
        ]
        found = measure(stages, {name: ex(1, 0) for name in ("sft", "other", "again")}, head=head)
        assert [model.name for model in found if model.is_baseline] == ["sft", "other"]


def test_what_was_fine_tuned_for_others_to_begin_with_is_a_beginning(measure: Measure) -> None:
    begun = f'{KID}\nstudent_from = "base"'
    further = 'kind = "distill"\nmethod = "rkd"\nstudent_from = "kid"'
    stages = [BASE, begun, further, evaluate("end", "student", "kid", "rkd")]
    found = measure(stages, {name: ex(1, 0) for name in ("student", "kid", "rkd")})
    assert [(model.name, model.is_beginning) for model in found] == [
        ("student", True),
        ("kid", False),
        ("rkd", False),
    ]


def test_nothing_evaluated_gives_no_model(measure: Measure) -> None:
    assert measure([KID]) == []
