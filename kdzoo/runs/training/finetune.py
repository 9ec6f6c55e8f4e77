"""The stage that trains a model on the ground truth: the teacher before it teaches, or a student."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdzoo.recipe import FinetuneStage
from kdzoo.runs.context import ModelRef, RunContext
from kdzoo.runs.training.train import train_by


def run(context: RunContext, stage: FinetuneStage, folder: Path) -> dict[str, Any]:
    """Train the stage's model by its method, without a teacher."""
    return train_by(
        context,
        stage.name,
        folder,
        method_name=stage.method,
        options=stage.method_options(),
        training=context.recipe.training_of(stage),
        model=ModelRef(stage.model),
        teacher=None,
    )
