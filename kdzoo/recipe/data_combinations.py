"""Datasets, evaluation sets and metrics that are each right and do not fit together."""

from __future__ import annotations

from collections.abc import Iterable

from kdzoo.recipe.data_tables import unknown_dataset
from kdzoo.recipe.lines import Key
from kdzoo.recipe.places import place_in_set, place_of_data, place_of_set
from kdzoo.recipe.problems import Problems
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.sets import part_of
from kdzoo.recipe.stages import EvaluateStage
from kdzoo.spelling import hint
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig, Part


def check_data_of_stages(recipe: Recipe, problems: Problems) -> None:
    """Note what stages cannot train or evaluate on, and metrics that do not fit what they are to measure."""
    for index, stage in enumerate(recipe.stages):
        at: Key = ("stage", index)
        if stage.role is None:
            names = _check_sets(recipe, stage, at, problems)
            _check_fit(
                recipe, stage.evaluation.get("metrics", ()), names, (*at, "evaluation", "metrics"), problems
            )
            _check_teacher(recipe, stage, names, problems)
        elif stage.data is not None and stage.data not in recipe.datasets:
            problems.add((*at, "data"), unknown_dataset(stage.data, list(recipe.datasets)))
        else:
            key = place_of_data(stage.data, "train")
            _has_part(recipe.named_data(stage.data), "train", key, stage.name, problems)
    if any(stage.role is None for stage in recipe.stages):
        _check_fit(recipe, recipe.evaluation.metrics, recipe.set_names, ("evaluation", "metrics"), problems)
    for name, described in recipe.evaluation_sets.items():
        _check_fit(recipe, described.metrics, [name], ("evaluation_sets", name, "metrics"), problems)


def _check_sets(recipe: Recipe, stage: EvaluateStage, at: Key, problems: Problems) -> list[str]:
    """Give the names of the sets that a stage can score."""
    right = []
    for name in dict.fromkeys(stage.sets or recipe.set_names):
        if name not in recipe.set_names:
            message = f'there is no evaluation set "{name}"{hint(name, recipe.set_names)}'
            problems.add((*at, "sets"), message)
            continue
        key = place_in_set(recipe, name, "evaluation")
        if _has_part(recipe.set_data(name), "evaluation", key, stage.name, problems):
            right.append(name)
    return right


def _has_part(data: DataConfig, part: Part, key: Key, stage: str, problems: Problems) -> bool:
    has_it = part_of(data, part) is not None
    if not has_it:
        does = "trains" if part == "train" else "evaluates"
        at = key if part in type(data).model_fields else key[:-1]
        problems.add(at, f'names nothing, and the stage "{stage}" {does} on it')
    return has_it


def _check_fit(
    recipe: Recipe, metrics: Iterable[str], sets: Iterable[str], key: Key, problems: Problems
) -> None:
    """A metric must fit one at least of the sets that it is asked for."""
    kinds: dict[str, str] = {}
    for name in sets:
        kinds.setdefault(recipe.set_data(name).kind, name)
    for metric in metrics:
        if kinds and not any(registry.fits(metric, registry.datasets.find(kind)) for kind in kinds):
            told = " nor ".join(
                f'data of kind "{kind}", which has {", ".join(registry.fitting(registry.datasets.find(kind)))}'
                for kind in kinds
            )
            keys = [place_in_set(recipe, name, "kind") for name in kinds.values()]
            problems.add(key, f'"{metric}" does not fit {told}', *keys)


def _check_teacher(recipe: Recipe, stage: EvaluateStage, sets: Iterable[str], problems: Problems) -> None:
    if recipe.teacher is not None:
        return
    for name in sets:
        for metric in recipe.scored_set(name, stage).evaluation.metrics:
            if registry.metrics.find(metric).compares_with_teacher:
                key = place_of_set(recipe, stage, name, "metrics")
                problems.add(key, f'"{metric}" compares with the teacher; add a [teacher] table')
