"""What a card says of how a model was trained: its method with options and paper, its teachers, and the stages before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kdzoo.methods.method import Method
from kdzoo.recipe import Recipe, TrainingStage
from kdzoo.recipe.toml_text import toml_value
from kdzoo.report.runs_read import FinishedStage
from kdzoo.runs.export.base import source_of, stages_before
from kdzoo.runs.trained_stage import TrainedStage

_ARXIV = re.compile(r"arXiv (\d{4}\.\d{4,5})")
_NOTHING = "-"
# Of the keys of [training], those that say how much was learnt of what, in this order.
_SETTINGS = (
    "epochs",
    "max_steps",
    "batch_size",
    "learning_rate",
    "schedule",
    "precision",
    "input_limit",
    "output_limit",
)


def method_lines(chosen: TrainedStage) -> list[str]:
    """A Markdown list: the method, what it trains on and by, its options, its paper."""
    stage = chosen.stage
    method = stage.plugin().method
    lines = [
        f"Method: `{stage.method}`: {method.summary}",
        f"Training sequences: {method.training_data}; divergence: {_or_none(method.divergence)}; "
        f"auxiliary loss: {_or_none(method.aux_loss)}",
        f"Options: {_options(stage.options)}",
    ]
    for name, part in getattr(stage, "parts", {}).items():
        lines.append(f"Its {name} is that of `{part.method}`, with the options: {_options(part.options)}")
    lines += [f"Paper: {paper}" for paper in _papers(method)]
    return [f"- {line}" for line in lines]


def teacher_lines(chosen: TrainedStage) -> list[str]:
    """A Markdown list: each teacher with where it comes from, and what the run made of it first."""
    recipe, stage = chosen.run.recipe, chosen.stage
    lines = []
    for name in stage.teachers:
        config = recipe.model(name)
        if config is None:
            continue  # the student's own base or average, which the method's options name
        taught = recipe.teacher_stage_of(stage, name)
        first = "" if taught is None else f", after the stage `{taught}` ({_of_stage(chosen, taught)})"
        called = "Teacher" if name == "teacher" else f"Teacher `{name}`"
        lines.append(f"- {called}: {source_of(config).words}{first}")
    if lines:
        return lines
    own = stage.method_options().teacher_model
    learns = "it learns from the data alone" if stage.learns_alone else f"it learns from its own {own!r}"
    return [f"- Teacher: none; {learns}"]


def training_lines(chosen: TrainedStage) -> list[str]:
    """A Markdown list: examples and steps, seed, settings, time, and what the model had learnt before."""
    recipe, stage = chosen.run.recipe, chosen.stage
    training = recipe.training_of(stage).model_dump(mode="json")
    if training["max_steps"] is not None:
        training["epochs"] = None  # it does not count then
    settings = ", ".join(f"{name} {training[name]}" for name in _SETTINGS if training[name] is not None)
    lines = [
        f"Stage: `{stage.name}` of the recipe `{recipe.name}`, {_extent(chosen.finished)}",
        f"Seed: {recipe.seed_of_stage(stage)}",
        f"Settings: {settings}",
        f"Adapter: {_adapter(recipe, stage)}",
    ]
    seconds = chosen.finished.results.get("training_seconds")
    if isinstance(seconds, int | float):
        lines.append(f"Time: {_duration(seconds)} of training")
    best = chosen.finished.results.get("best_step")
    if isinstance(best, int):
        lines.append(f"Weights: those after step {best:,}, which had the best score while training")
    for earlier in stages_before(chosen):
        lines.append(f"Before that, the stage `{earlier.name}`: {_of_stage(chosen, earlier.name)}")
    return [f"- {line}" for line in lines]


def _adapter(recipe: Recipe, stage: TrainingStage) -> str:
    config = recipe.model(stage.role)
    lora = None if config is None else config.lora
    if lora is None:
        return "none; all weights were trained"
    targets = lora.target_modules if isinstance(lora.target_modules, str) else ", ".join(lora.target_modules)
    return f"LoRA of rank {lora.rank}, alpha {lora.alpha:g}, dropout {lora.dropout:g}, on {targets}"


def _of_stage(chosen: TrainedStage, name: str) -> str:
    """How another stage of the run trained, in a few words."""
    stage = next(one for one in chosen.run.recipe.stages if one.name == name)
    assert stage.role is not None
    finished = chosen.run.stages.get(name)
    extent = "" if finished is None else f", {_extent(finished)}"
    data = "" if stage.data is None else f" on the data `{stage.data}`"
    return f"method `{stage.method}`{data}{extent}"


def _extent(finished: FinishedStage) -> str:
    counts = {what: finished.results.get(what) for what in ("examples", "steps")}
    return " and ".join(f"{count:,} {what}" for what, count in counts.items() if isinstance(count, int))


def _options(options: dict[str, Any]) -> str:
    return ", ".join(f"`{name} = {toml_value(value)}`" for name, value in options.items()) or "it has none"


def _papers(method: Method) -> Iterator[str]:
    if method.paper != _NOTHING:
        yield _ARXIV.sub(r"[arXiv \1](https://arxiv.org/abs/\1)", method.paper)


def _or_none(text: str) -> str:
    return "none" if text == _NOTHING else text


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
