"""Where a recipe sets what counts for a stage, a dataset or an evaluation set."""

from __future__ import annotations

from typing import Any

from kdzoo.methods.model_names import STUDENT, TEACHER
from kdzoo.recipe.lines import Key
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.stages import EvaluateStage, Stage, TrainingStage


def place_of(recipe: Recipe, stage: Stage, setting: str) -> Key:
    """The key that gives a stage its training or evaluation setting: its own, else the one of all stages.

    An evaluation that says nothing on limits has those of the training.
    """
    index = [s.name for s in recipe.stages].index(stage.name)
    if setting in stage.own_settings:
        return ("stage", index, stage.table, setting)
    return _place_for_all(recipe, stage.table, setting)


def _place_for_all(recipe: Recipe, table: str, setting: str) -> Key:
    is_the_trainings = getattr(getattr(recipe, table), setting) is None
    return ("training" if is_the_trainings else table, setting)


def place_of_model(role: str, *keys: str | int) -> Key:
    """A key of a model's table, or the table."""
    return (role, *keys) if role in (STUDENT, TEACHER) else ("teachers", role, *keys)


def place_in_options(recipe: Recipe, stage: TrainingStage, name: str) -> Key:
    """The key of a stage's method's options, or of a part's, that names a model; the options if none does by itself."""
    at: Key = ("stage", [s.name for s in recipe.stages].index(stage.name))
    given = {} if stage.kind == "finetune" else {part: table.options for part, table in stage.parts.items()}
    for place, options in ((at, stage.options), *(((*at, part), table) for part, table in given.items())):
        found = _naming(options, name)
        if found is not None:
            return (*place, "options", *found)
    return (*at, "options")


def _naming(value: Any, name: str) -> Key | None:
    """The key in a table or list under which a name stands, or which it is."""
    if value == name:
        return ()
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        found = () if key == name else _naming(one, name)
        if found is not None:
            return (key, *found)
    return None


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


def place_of_set(recipe: Recipe, stage: EvaluateStage | None, name: str, setting: str) -> Key:
    """The key that gives a setting for one evaluation set: the stage's own, the set's, or that of all evaluations.

    Without a stage it is that of scores while training.
    """
    if stage is not None and setting in stage.own_settings:
        return place_of(recipe, stage, setting)
    described = recipe.evaluation_sets.get(name)
    if described is not None and getattr(described, setting, None):
        return ("evaluation_sets", name, setting)
    return _place_for_all(recipe, "evaluation", setting)
