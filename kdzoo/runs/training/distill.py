"""The stage that trains the student by a method, with the teacher's help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdzoo.recipe import DistillStage
from kdzoo.runs.context import ModelRef, RunContext
from kdzoo.runs.training.train import train_by


def run(
    context: RunContext, stage: DistillStage, folder: Path, *, student: ModelRef, teacher: ModelRef | None
) -> dict[str, Any]:
    """Train the student by the stage's method."""
    return train_by(
        context,
        stage.name,
        folder,
        method_name=stage.method,
        options=stage.method_options(),
        training=context.recipe.training_of(stage),
        model=student,
        teacher=teacher,
    )
