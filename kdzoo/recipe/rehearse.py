"""``--rehearse``: the same recipe with tiny models, a few steps and little data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from kdzoo.recipe.little_data import little_data
from kdzoo.recipe.model_tables import TokenizerConfig, TrainedTokenizer
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.sets import EvaluationSet, dataset_of, set_name_of
from kdzoo.recipe.stages import Stage
from kdzoo.recipe.tables import EvaluationTable, Training
from kdzoo.recipe.tiny_model import tiny_model
from kdzoo.recipe.toml_text import resolved_toml
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig, Dataset

_STEPS = 4
_BATCH = 4
_QUESTIONS = 8
_INPUT = 512
_OUTPUT = 48
_VOCABULARY = 800


def rehearsed(recipe: Recipe) -> Recipe:
    """Shrink everything that costs time; every stage, method and option stays.

    Models become random ones of the same architectures, with a tokenizer made on the spot, and datasets and evaluation
    sets that are not there are replaced by the embedded benchmark.
    """
    data, others, sets = little_data(recipe)
    scored = _scored(data, others, sets)
    training = _short(recipe.training, scored)
    content: dict[str, Any] = {
        "name": f"{recipe.name[:70]}-rehearsal",
        "seed": recipe.seed,
        "student_seed": recipe.student_seed,
        # models this small gain nothing by more
        "threads": recipe.threads or 1,
        "data": data,
        "datasets": others,
        "evaluation_sets": sets,
        "tokenizer": TokenizerConfig(train=TrainedTokenizer(vocab_size=_VOCABULARY)),
        "teacher": None if recipe.teacher is None else tiny_model(recipe.teacher, width=64),
        "teachers": {name: tiny_model(model, width=64) for name, model in recipe.teachers.items()},
        # what begins as a trained teacher has its sizes
        "student": tiny_model(recipe.student, width=64 if _begins_as_a_teacher(recipe) else 32),
        "training": training,
        "evaluation": EvaluationTable(**_quick(recipe.evaluation.model_dump(), scored.values())),
        "stage": tuple(_short_stage(recipe, stage, training, scored) for stage in recipe.stages),
    }
    return Recipe(**content).with_origin(replace(recipe.origin, rehearses=resolved_toml(recipe)))


def _begins_as_a_teacher(recipe: Recipe) -> bool:
    used = (model for stage in recipe.stages for model in recipe.models_used(stage).values())
    return any(model.begins_as is not None for model in used)


def _scored(
    data: DataConfig, others: Mapping[str, DataConfig], sets: Mapping[str, EvaluationSet]
) -> dict[str, Dataset[Any]]:
    """The datasets of a rehearsal's evaluation sets, by the sets' names."""
    found = {name: dataset_of(data if one.data is None else others[one.data]) for name, one in sets.items()}
    return found or {set_name_of(data): dataset_of(data)}


def _short(training: Training, scored: Mapping[str, Dataset[Any]]) -> Training:
    name = training.evaluate_set if training.evaluate_set in scored else None
    dataset = scored[name or next(iter(scored))]
    size = min(training.batch_size, _BATCH)
    in_parts = training.part_size < training.batch_size
    return Training(
        **{
            **training.model_dump(),
            "max_steps": min(training.max_steps or _STEPS, _STEPS),
            "batch_size": size,
            "micro_batch_size": max(1, size // 2) if in_parts else None,
            "group_size": min(training.group_size, size),
            "input_limit": min(training.input_limit, _INPUT),
            "long_prompts": "shorten",
            "output_limit": min(training.output_limit, _OUTPUT),
            "precision": "fp32",
            "logging_steps": 1,
            "save_steps": None,
            "loggers": (),
            "evaluate_every": training.evaluate_every and _STEPS // 2,
            "evaluate_examples": min(training.evaluate_examples, _QUESTIONS),
            "evaluate_set": name,
            "evaluate_metric": training.evaluate_metric and _judging(training.evaluate_metric, dataset),
        }
    )


def _judging(metric: str, dataset: Dataset[Any]) -> str:
    """The metric, or one that fits data that have come instead of those that it fits."""
    fitting = registry.fitting(dataset)
    return (
        metric
        if metric in fitting
        else next(m for m in map(registry.metrics.find, fitting) if m.judges_one_answer).name
    )


def _short_stage(
    recipe: Recipe,
    stage: Stage,
    training: Training,
    scored: Mapping[str, Dataset[Any]],
) -> Stage:
    if stage.role is None:
        # the only set of a recipe that names none is called after its data, for which others may have come
        sets = tuple(name for name in stage.sets if name in scored)
        quick = _quick(stage.evaluation, [scored[name] for name in sets or scored], add=False)
        return stage.model_copy(update={"sets": sets, "evaluation": quick})
    own = _short(recipe.training_of(stage), scored).model_dump(mode="json")
    general = training.model_dump(mode="json")
    changed = {key: value for key, value in own.items() if value != general[key]}
    if "micro_batch_size" in changed and changed["micro_batch_size"] is None:
        changed["micro_batch_size"] = own["batch_size"]  # a stage cannot take back a value, TOML has no null
    changed = {key: value for key, value in changed.items() if value is not None}
    return stage.model_copy(update={"training": changed})


def _quick(
    evaluation: dict[str, Any], datasets: Collection[Dataset[Any]], add: bool = True
) -> dict[str, Any]:
    limits = {
        "batch_size": _QUESTIONS,
        "max_examples": _QUESTIONS,
        "input_limit": _INPUT,
        "output_limit": _OUTPUT,
        "samples": 2,
    }
    quick = dict(evaluation)
    # some metrics may have gone with the data that they fit
    fitting = [m for m in quick.get("metrics", ()) if any(registry.fits(m, dataset) for dataset in datasets)]
    if quick.pop("metrics", None) and fitting:
        quick["metrics"] = fitting
    for key, limit in limits.items():
        if quick.get(key) is not None:
            quick[key] = min(quick[key], limit)
        elif add and key == "max_examples":
            quick[key] = limit
    return quick
