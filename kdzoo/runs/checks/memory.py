"""Memory before a run: what each training is estimated to take must be there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache, partial

from transformers import PretrainedConfig

from kdzoo.engine.memory.step import StepBytes
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.recipe import Recipe, Stage, TrainingStage
from kdzoo.recipe.places import place_of
from kdzoo.recipe.problems import Problems
from kdzoo.runs.checks.data import Read, training_examples
from kdzoo.runs.memory.room import Room
from kdzoo.runs.memory.stages import StageMemory, in_gib
from kdzoo.runs.prompts import Prompts


def memory_of(
    recipe: Recipe,
    to_do: Sequence[Stage],
    read: Read,
    prompts: Prompts,
    configs: Mapping[str, PretrainedConfig],
    room: Room,
) -> dict[str, StageMemory]:
    """The memory of the stages that train, by their names, as far as their models and data are there."""
    found: dict[str, StageMemory] = {}
    encoded: dict[str, Callable[[], list[EncodedExample]]] = {}
    known: dict[Hashable, StepBytes] = {}
    for stage in to_do:
        if stage.role is None:
            continue
        roles = {model.role for model in recipe.models_used(stage).values()}
        key = repr((recipe.training_data_of(stage), _limits(recipe, stage)))
        if key not in encoded:
            encoded[key] = cache(partial(_encoded, recipe, stage, read, prompts))
        if roles <= configs.keys() and training_examples(recipe, stage, read):
            found[stage.name] = StageMemory(recipe, stage, configs, encoded[key], room, known)
    return found


def check_memory(
    recipe: Recipe, to_do: Sequence[Stage], memory: Mapping[str, StageMemory], notices: Problems
) -> None:
    """Tell of every stage that is estimated to take more than there is, and of settings with which it would fit."""
    for stage in to_do:
        if stage.name not in memory or stage.role is None:
            continue
        own = memory[stage.name]
        if own.surely_fits:
            continue
        needed, room = own.own().peak, own.room
        if needed <= room.free:
            continue
        fitting = [f"{text} ({in_gib(size)})" for text, size in own.that_fit()]
        advice = f"it would fit with {', or '.join(fitting)}" if fitting else "no setting makes it fit"
        notices.add(
            place_of(recipe, stage, "batch_size"),
            f"{stage.name} will take about {in_gib(needed)} of memory, and {room.limit} leaves {in_gib(room.free)}; {advice}",
        )


def _limits(recipe: Recipe, stage: TrainingStage) -> tuple[object, ...]:
    training = recipe.training_of(stage)
    return training.input_limit, training.output_limit, training.long_prompts


def _encoded(recipe: Recipe, stage: TrainingStage, read: Read, prompts: Prompts) -> list[EncodedExample]:
    """What a stage trains on, as it will be encoded."""
    training = recipe.training_of(stage)
    fitting = prompts.to_train_on(training_examples(recipe, stage, read) or [], training)
    return prompts.encoded(fitting, training).examples
