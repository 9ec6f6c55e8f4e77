"""From the stages' records to the rows of the final table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kdzoo.recipe import EvaluationSet, Recipe, load_recipe
from kdzoo.report.rows import model_rows
from kdzoo.report.table import ModelRow, heading

HEAD = """\
[data]
kind = "embedded"
[tokenizer]
path = "t"
[teacher]
path = "t"
[student]
path = "s"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Any:
    def recipe(*stages: str) -> Recipe:
        path = tmp_path / "r.toml"
        path.write_text(HEAD + "\n".join(f"[[stage]]\n{stage}" for stage in stages))
        return load_recipe(path)

    return recipe


TEACHER = 'kind = "finetune"'
BASE = 'kind = "finetune"\nname = "base"\nmodel = "student"'
SFT = 'kind = "distill"\nmethod = "sft"'
KID = 'kind = "distill"\nmethod = "kid"'


def evaluate(name: str, *models: str) -> str:
    return f'kind = "evaluate"\nname = "{name}"\nmodels = {list(models)}'


def trained(seconds: float) -> dict[str, Any]:
    return {"training_seconds": seconds}


def scored(**scores: dict[str, float | None]) -> dict[str, Any]:
    return {
        "models": {
            model: {"parameters": 7, "sets": {"embedded": {"scores": found}}}
            for model, found in scores.items()
        }
    }


def test_each_model_has_its_scores_and_the_time_of_the_stage_that_trained_it(recipe: Any) -> None:
    rows = model_rows(
        recipe(TEACHER, SFT, KID, evaluate("end", "teacher", "sft", "kid")),
        {
            "finetune": trained(30.0),
            "sft": trained(10.0),
            "kid": trained(15.0),
            "end": scored(teacher={"ex": 0.9}, sft={"ex": 0.5}, kid={"ex": 0.6}),
        },
    )
    assert rows == [
        ModelRow("teacher", 7, {"ex": 0.9}, 30.0),
        ModelRow("sft", 7, {"ex": 0.5}, 10.0, is_baseline=True),
        ModelRow("kid", 7, {"ex": 0.6}, 15.0),
    ]


def test_a_model_as_it_came_took_no_time(recipe: Any) -> None:
    rows = model_rows(
        recipe(evaluate("before", "student"), BASE),
        {"before": scored(student={"ex": 0.1}), "base": trained(9.0)},
    )
    assert rows == [ModelRow("student", 7, {"ex": 0.1}, None)]


def test_one_model_before_and_after_training_has_two_rows(recipe: Any) -> None:
    rows = model_rows(
        recipe(evaluate("before", "student"), BASE, evaluate("after", "student")),
        {
            "before": scored(student={"ex": 0.1}),
            "base": trained(9.0),
            "after": scored(student={"ex": 0.4}),
        },
    )
    assert [(row.name, row.scores, row.seconds) for row in rows] == [
        ("student (before)", {"ex": 0.1}, None),
        ("student (after)", {"ex": 0.4}, 9.0),
    ]


def test_what_several_stages_measured_of_one_model_stands_in_one_row(recipe: Any) -> None:
    rows = model_rows(
        recipe(KID, evaluate("first", "kid"), evaluate("second", "kid")),
        {
            "kid": trained(5.0),
            "first": scored(kid={"ex": 0.5}),
            "second": scored(kid={"ts": 0.25, "exaccerr": None}),
        },
    )
    assert rows == [ModelRow("kid", 7, {"ex": 0.5, "ts": 0.25}, 5.0)]


def test_the_same_metric_measured_twice_is_told_twice(recipe: Any) -> None:
    rows = model_rows(
        recipe(KID, evaluate("few", "kid"), evaluate("all", "kid")),
        {"kid": trained(5.0), "few": scored(kid={"ex": 0.5}), "all": scored(kid={"ex": 0.25})},
    )
    assert [(row.name, row.scores["ex"]) for row in rows] == [("kid (few)", 0.5), ("kid (all)", 0.25)]


class TestBaseline:
    def baseline(self, recipe: Recipe, *models: str) -> list[str]:
        results: dict[str, Any] = {stage.name: trained(1.0) for stage in recipe.stages}
        results["end"] = scored(**{model: {"ex": 0.5} for model in models})
        return [row.name for row in model_rows(recipe, results) if row.is_baseline]

    def test_it_is_the_student_distilled_without_a_teacher(self, recipe: Any) -> None:
        found = self.baseline(
            recipe(TEACHER, BASE, KID, SFT, evaluate("end", "teacher", "student", "kid", "sft")),
            "teacher",
            "student",
            "kid",
            "sft",
        )
        assert found == ["sft"]

    def test_else_a_student_that_was_finetuned(self, recipe: Any) -> None:
        found = self.baseline(
            recipe(TEACHER, BASE, KID, evaluate("end", "teacher", "student", "kid")),
            "teacher",
            "student",
            "kid",
        )
        assert found == ["student"]

    def test_but_not_one_that_others_start_from(self, recipe: Any) -> None:
        begun = f'{KID}\nstudent_from = "base"'
        found = self.baseline(
            recipe(TEACHER, BASE, begun, evaluate("end", "student", "kid")), "student", "kid"
        )
        assert found == []


def test_nothing_evaluated_gives_no_row(recipe: Any) -> None:
    assert model_rows(recipe(KID), {"kid": trained(1.0)}) == []


def test_scores_on_several_sets_are_columns_of_their_own(recipe: Any) -> None:
    stages = recipe(KID, evaluate("first", "kid"), evaluate("second", "kid"))
    sets = {"dev": EvaluationSet(), "dk": EvaluationSet()}
    several = stages.model_copy(update={"evaluation_sets": sets})

    def on(**scores: dict[str, float]) -> dict[str, Any]:
        return {"models": {"kid": {"parameters": 7, "sets": {n: {"scores": s} for n, s in scores.items()}}}}

    results = {"kid": trained(5.0), "first": on(dev={"ex": 0.5}), "second": on(dk={"ex": 0.25, "ts": 0.0})}
    assert model_rows(several, results) == [
        ModelRow("kid", 7, {"dev ex": 0.5, "dk ex": 0.25, "dk ts": 0.0}, 5.0)
    ]
    assert [heading(column) for column in ("dev ex", "dk ts", "dk exaccerr")] == [
        "dev EX",
        "dk TS",
        "dk ExAccErr",
    ]
