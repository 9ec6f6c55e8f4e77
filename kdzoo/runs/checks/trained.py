"""Models of finished stages before a run: what is still to be done must be able to build on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kdzoo.errors import RunError, UserError
from kdzoo.methods import registry
from kdzoo.recipe import EvaluateStage, FinetuneStage, Recipe, Stage
from kdzoo.runs.checks.weights import open_weights


def check_trained(recipe: Recipe, to_do: Sequence[Stage], finished: Mapping[str, Path]) -> None:
    """Open the weights that finished stages left, those that a stage ``to_do`` loads.

    ``finished`` are the stages' folders by their names.

    Raises:
        RunError: a model is missing or broken.
    """
    needed = dict.fromkeys(name for stage in to_do for name in _loaded_by(recipe, stage))
    for name in needed.keys() & finished.keys():
        folder = finished[name]
        try:
            open_weights(str(folder / "model"), None)
        except UserError as error:
            raise RunError(
                f"stage {name!r} was finished before, and what it left is broken: {error}; remove {folder}, and it "
                "is done again"
            ) from error


def _loaded_by(recipe: Recipe, stage: Stage) -> list[str]:
    """The stages whose models a stage loads."""
    if isinstance(stage, FinetuneStage):
        return []
    if isinstance(stage, EvaluateStage):
        compared = ("teacher",) if "exaccerr" in recipe.evaluation_of(stage).metrics else ()
        trained = [
            recipe.training_stage(name, before=stage) for name in (*recipe.models_of(stage), *compared)
        ]
        return [s.name for s in trained if s is not None]
    uses_teacher = registry.find(stage.method).method.uses_teacher
    teacher = recipe.teacher_stage_of(stage) if uses_teacher else None
    return [name for name in (stage.student_from, teacher) if name is not None]
