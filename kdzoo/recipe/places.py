"""Where a recipe sets what counts for a stage."""

from __future__ import annotations

from kdzoo.recipe.lines import Key
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.stages import Stage


def place_of(recipe: Recipe, stage: Stage, setting: str) -> Key:
    """The key that gives a stage its training or evaluation setting: its own, else the one of all stages.

    An evaluation that says nothing on limits has those of the training.
    """
    index = [s.name for s in recipe.stages].index(stage.name)
    if setting in stage.own_settings:
        return ("stage", index, stage.table, setting)
    is_the_trainings = getattr(getattr(recipe, stage.table), setting) is None
    return ("training" if is_the_trainings else stage.table, setting)
