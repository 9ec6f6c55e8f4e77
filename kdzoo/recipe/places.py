"""Where a recipe sets what counts for a stage, a dataset or an evaluation set."""

from __future__ import annotations

from kdzoo.recipe.lines import Key
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.stages import EvaluateStage, Stage


def place_of(recipe: Recipe, stage: Stage, setting: str) -> Key:
    """The key that gives a stage its training or evaluation setting: its own, else the one of all stages.

    An evaluation that says nothing on limits has those of the training.
    """
    index = [s.name for s in recipe.stages].index(stage.name)
    if setting in stage.own_settings:
        return ("stage", index, stage.table, setting)
    is_the_trainings = getattr(getattr(recipe, stage.table), setting) is None
    return ("training" if is_the_trainings else stage.table, setting)


def place_of_data(name: str | None, key: str) -> Key:
    """The key of a dataset's table, by the dataset's name (None: [data])."""
    return ("data", key) if name is None else ("datasets", name, key)


def place_in_set(recipe: Recipe, name: str, key: str) -> Key:
    """The key that gives an evaluation set what it reads: its own, else its dataset's."""
    described = recipe.evaluation_sets.get(name)
    if described is None:
        return ("data", key)
    is_own = key in described.dataset_keys
    return ("evaluation_sets", name, key) if is_own else place_of_data(described.data, key)


def place_of_metrics(recipe: Recipe, name: str) -> Key:
    """The key that gives an evaluation set its metrics where no stage does: its own, or that of [evaluation]."""
    described = recipe.evaluation_sets.get(name)
    is_its_own = described is not None and described.metrics
    return ("evaluation_sets", name, "metrics") if is_its_own else ("evaluation", "metrics")


def place_of_set(recipe: Recipe, stage: EvaluateStage, name: str, setting: str) -> Key:
    """The key that gives a stage its setting for one evaluation set: the stage's own, the set's, or that of [evaluation]."""
    described = recipe.evaluation_sets.get(name)
    is_the_sets = described is not None and getattr(described, setting, None)
    if is_the_sets and setting not in stage.own_settings:
        return ("evaluation_sets", name, setting)
    return place_of(recipe, stage, setting)
