"""What an interrupted start has left of a stage: where the next one continues."""

from __future__ import annotations

from pathlib import Path

from kdzoo.engine.training.checkpoints import CHECKPOINTS, find_last
from kdzoo.recipe import Recipe, Stage
from kdzoo.runs.evaluation.evaluate import is_evaluated
from kdzoo.runs.training.teacher_targets import kept_targets


def where_it_continues(recipe: Recipe, stage: Stage, folder: Path) -> str | None:
    """Say where a stage continues that was begun in ``folder``; None if it begins anew."""
    if stage.role is None:
        sets = [scored.name for scored in recipe.sets_of(stage)]
        pairs = [(model, name) for model in recipe.models_of(stage) for name in sets]
        left = [pair for pair in pairs if not is_evaluated(folder, *pair)]
        if len(left) == len(pairs):
            return None
        shown = [f"{model} on {name}" if recipe.evaluation_sets else model for model, name in left]
        return f"continues with {', '.join(shown) or 'its table'}"
    checkpoint = find_last(folder / CHECKPOINTS).last
    if checkpoint is not None:
        return f"continues after step {checkpoint.step} of {checkpoint.steps}"
    generated = len(kept_targets(folder))
    return f"continues after {generated} of the teacher's generations" if generated else None
