"""The rows that a stage computes at a time, where the recipe leaves it to the memory that there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from peft import PeftModel
from transformers import PretrainedConfig, PreTrainedModel

from kdzoo.engine.models.adapters import base_model
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.files import write_text
from kdzoo.recipe import Training, TrainingStage
from kdzoo.recipe.rows_at_a_time import AUTO
from kdzoo.runs.context import RunContext
from kdzoo.runs.memory.room import Room, room_on
from kdzoo.runs.memory.stages import StageMemory, in_gib

_FILE = "micro_batch_size"


def with_micro_batch(
    context: RunContext,
    stage: TrainingStage,
    folder: Path,
    models: Mapping[str, PreTrainedModel | PeftModel],
    examples: Sequence[EncodedExample],
) -> Training:
    """The stage's settings, with a number of rows in the place of "auto": the most that is estimated to fit.

    ``models`` are the loaded ones by role. What has been chosen is kept in ``folder``, so that every start of the stage computes the same, whatever memory
    there is then.
    """
    training = context.recipe.training_of(stage)
    if training.micro_batch_size != AUTO:
        return training
    rows = _kept(folder, training)
    if rows is None:
        rows = _chosen(context, stage, models, examples)
        write_text(folder / _FILE, f"{rows}\n")
    else:
        context.reporter.say(f"{stage.name}: micro_batch_size = {rows}, as chosen before")
    return training.model_copy(update={"micro_batch_size": rows})


def _kept(folder: Path, training: Training) -> int | None:
    try:
        rows = int((folder / _FILE).read_text())
    except (OSError, ValueError):
        return None
    return rows if rows > 0 and training.batch_size % rows == 0 else None


def _chosen(
    context: RunContext,
    stage: TrainingStage,
    models: Mapping[str, PreTrainedModel | PeftModel],
    examples: Sequence[EncodedExample],
) -> int:
    configs = {role: _config(model) for role, model in models.items()}
    now = room_on(context.device)
    memory = StageMemory(context.recipe, stage, configs, lambda: examples, now)
    # the models are loaded: what they take is no longer free, and will not be taken again
    loaded = memory.estimate(micro_batch_size=1).loaded
    memory.room = room = Room(now.free + loaded, max(0, now.taken - loaded), now.limit)
    rows = memory.micro_batch_that_fits()
    taken = in_gib(memory.estimate(micro_batch_size=rows or 1).peak)
    there = f"{now.limit} leaves {in_gib(room.free)}"
    if rows is None:
        context.reporter.say(
            f"{stage.name}: micro_batch_size = 1 is chosen, and may not fit: it will take about {taken}, {there}"
        )
        return 1
    context.reporter.say(
        f"{stage.name}: micro_batch_size = {rows} is chosen, which will take about {taken}: {there}"
    )
    return rows


def _config(model: PreTrainedModel | PeftModel) -> PretrainedConfig:
    config = base_model(model).config
    assert isinstance(config, PretrainedConfig)
    return config
