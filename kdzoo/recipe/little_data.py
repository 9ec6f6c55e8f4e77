"""A rehearsal's data: a little of each dataset and evaluation set, and the embedded benchmark for what is not there."""

from __future__ import annotations

from typing import Any

from kdzoo.recipe.paths import is_there
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.scoring import scored_sets_of
from kdzoo.recipe.sets import EvaluationSet, dataset_of, fitting, part_of
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig

# The dataset that stands in for an evaluation set whose own dataset is there.
STAND_IN = "stand-in"
_MOST = 8


def little_data(recipe: Recipe) -> tuple[DataConfig, dict[str, DataConfig], dict[str, EvaluationSet]]:
    """Give a little of [data], of [datasets] and of [evaluation_sets]."""
    lost = _lost(recipe)
    data = _embedded() if None in lost else _little(recipe.data)
    others = {name: _embedded() if name in lost else _little(d) for name, d in recipe.datasets.items()}
    sets: dict[str, EvaluationSet] = {}
    for name, described in recipe.evaluation_sets.items():
        if described.data in lost:
            sets[name] = _short(described, described.data, _embedded(), {})
        elif _evaluation_is_lost(recipe.set_data(name)):
            others.setdefault(STAND_IN, _embedded())
            sets[name] = _short(described, STAND_IN, _embedded(), {})
        else:
            whole = recipe.set_data(name)
            keys = {key: _cut(whole, key, value) for key, value in described.dataset_keys.items()}
            sets[name] = _short(described, described.data, whole, keys)
    return data, others, sets


def _lost(recipe: Recipe) -> set[str | None]:
    """The datasets that cannot be trained on, by name; None is [data], which may also be all that is evaluated on."""
    trained = [stage for stage in recipe.stages if stage.role is not None]
    lost = {stage.data for stage in trained if not is_there(recipe.training_data_of(stage))}
    is_evaluated = not recipe.evaluation_sets and any(
        scored_sets_of(recipe, stage) for stage in recipe.stages
    )
    return lost | {None} if is_evaluated and _evaluation_is_lost(recipe.data) else lost


def _evaluation_is_lost(data: DataConfig) -> bool:
    part = part_of(data, "evaluation")
    return part is not None and not is_there(part)


def _short(
    described: EvaluationSet, dataset: str | None, data: DataConfig, keys: dict[str, Any]
) -> EvaluationSet:
    """A set of that dataset with few questions and those of its metrics that fit ``data``."""
    most = described.max_examples
    return EvaluationSet(
        data=dataset,
        metrics=fitting(described.metrics, data),
        max_examples=None if most is None else min(most, _MOST),
        **keys,
    )


def _embedded() -> DataConfig:
    return _little(registry.datasets.find("embedded").config(kind="embedded"))


def _little(data: DataConfig) -> DataConfig:
    given = data.model_dump()
    return data.model_copy(update={key: _cut(data, key, given[key]) for key in dataset_of(data).little})


def _cut(data: DataConfig, key: str, value: Any) -> Any:
    """A key's value, or what is enough of it: a smaller number, or the first of a list."""
    most = dataset_of(data).little.get(key)
    if most is None:
        return value
    return value[:most] if isinstance(value, (list, tuple)) else min(value or most, most)
