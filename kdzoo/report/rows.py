"""What a run's stages recorded, put together as one row for each evaluated model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kdzoo.recipe import Recipe, TrainingStage
from kdzoo.report.table import ModelRow


def model_rows(recipe: Recipe, results: Mapping[str, Mapping[str, Any]]) -> list[ModelRow]:
    """Put together each evaluated model's scores and the cost of the stage that trained it.

    ``results`` are the stages' own by their names. What several stages measured of one model stands in one row,
    unless they measured the same metric; rows that would have the same name also get the evaluate stage's.
    """
    found: list[_Evaluated] = []
    for stage in recipe.stages:
        if stage.role is None:
            for model, result in results[stage.name]["models"].items():
                scores = _scores(recipe, result["sets"])
                trained = recipe.training_stage(model, before=stage)
                row = next((r for r in found if r.fits(model, trained, scores)), None)
                if row is None:
                    row = _Evaluated(model, trained, stage.name, result["parameters"])
                    found.append(row)
                row.scores |= scores
    names = Counter(row.model for row in found)
    baseline = _baseline(recipe, [row.trained for row in found])
    return [
        ModelRow(
            row.model if names[row.model] == 1 else f"{row.model} ({row.evaluated_by})",
            row.parameters,
            row.scores,
            None if row.trained is None else results[row.trained.name]["training_seconds"],
            is_baseline=row.trained is not None and row.trained is baseline,
        )
        for row in found
    ]


def _scores(recipe: Recipe, sets: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """A model's scores by metric, or by set and metric where the recipe names sets."""
    return {
        f"{name} {metric}" if recipe.evaluation_sets else metric: value
        for name, result in sets.items()
        for metric, value in result["scores"].items()
        if value is not None
    }


@dataclass
class _Evaluated:
    model: str
    trained: TrainingStage | None
    evaluated_by: str
    parameters: int
    scores: dict[str, float] = field(default_factory=dict)

    def fits(self, model: str, trained: TrainingStage | None, scores: Mapping[str, float]) -> bool:
        return self.model == model and self.trained is trained and not self.scores.keys() & scores.keys()


def _baseline(recipe: Recipe, trained: list[TrainingStage | None]) -> TrainingStage | None:
    """The student that learnt without a teacher: distilled by such a method, else fine-tuned and not a beginning."""
    alone = [s for s in trained if s is not None and s.role == "student" and not s.uses_teacher]
    beginnings = {s.student_from for s in recipe.stages if s.role is not None}
    distilled: list[TrainingStage] = [s for s in alone if s.kind == "distill"]
    finetuned: list[TrainingStage] = [s for s in alone if s.kind == "finetune" and s.name not in beginnings]
    return next(iter(distilled + finetuned), None)
