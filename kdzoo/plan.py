"""What a run would do, without doing it: ``kdzoo run --dry-run``."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from kdzoo import fingerprints
from kdzoo.data.load import load as load_data
from kdzoo.recipe import DistillStage, EvaluateStage, FinetuneStage, ModelConfig, Recipe, Stage
from kdzoo.recipe.paths import missing_data
from kdzoo.recipe.toml_text import toml_value
from kdzoo.run_directory import RunDirectory


def print_plan(recipe: Recipe, out: Path, console: Console) -> None:
    """Print the resolved stages, models, steps and options, and what would be reused. Writes nothing below ``out``.

    Raises:
        UserError: something does not fit that can be seen without a model hub.
    """
    checked = _check(recipe)
    prints = fingerprints.of_stages(recipe)
    directory = RunDirectory(out / fingerprints.run_name(recipe, prints))
    counts = _example_counts(recipe)

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    say(f"recipe   {recipe.name} (seed {recipe.seed})")
    say(f"run      {directory.path}")
    say(f"data     {_data_text(recipe, counts)}")
    for role, model in (("teacher", recipe.teacher), ("student", recipe.student)):
        if model is not None:
            say(f"{role:9}{_model_text(model, recipe)}")
    if not checked:
        say("         whether the models fit is seen when they are loaded")
    for number, stage in enumerate(recipe.stages, start=1):
        say(f"\n{number}. {stage.name} ({stage.kind})")
        for line in _stage_lines(recipe, stage, counts):
            say(f"   {line}")
        found = directory.find_finished(stage.name, prints[stage.name])
        say(f"   reused: {found[0]}" if found else "   to do")


def _check(recipe: Recipe) -> bool:
    """Look whether models and tokenizers fit, if they are on this machine."""
    paths = [model.path for model in (recipe.tokenizer, recipe.teacher, recipe.student) if model is not None]
    if any(path is not None and not Path(path).is_dir() for path in paths):
        return False
    from kdzoo import preflight

    preflight.check(recipe)
    return True


def _example_counts(recipe: Recipe) -> tuple[int, int] | None:
    """Training and evaluation questions, or None where the data is not there."""
    if missing_data(recipe) is not None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        splits = load_data(recipe.data, cache=Path(folder))
    return len(splits.train), len(splits.evaluation)


def _data_text(recipe: Recipe, counts: tuple[int, int] | None) -> str:
    missing = missing_data(recipe)
    if missing is not None:
        return f"{recipe.data.kind}: {missing[1]} is not there; --rehearse runs without it"
    assert counts is not None
    return f"{recipe.data.kind}: {counts[0]} training and {counts[1]} evaluation questions"


def _model_text(config: ModelConfig, recipe: Recipe) -> str:
    parts = []
    if config.path is not None:
        here = Path(config.path).is_dir()
        parts.append(config.path + (f" ({config.revision})" if config.revision else ""))
        parts.append("local folder" if here else "from the model hub, or its cache on this machine")
    else:
        assert config.from_scratch is not None
        parts.append(f"{config.from_scratch['architecture']} from scratch")
        parts.append(f"{_parameters(config, recipe):,} parameters")
    if config.lora is not None:
        parts.append(
            f"LoRA rank {config.lora.rank}, alpha {config.lora.alpha:g} on {config.lora.target_modules}"
        )
    else:
        parts.append("all weights trained")
    parts.append(config.dtype)
    return ", ".join(parts)


def _parameters(config: ModelConfig, recipe: Recipe) -> int:
    """Count a model's parameters without making its weights."""
    import torch
    from transformers import AutoModelForCausalLM

    from kdzoo.engine.models import count_parameters, make_config

    trained = recipe.tokenizer.train if recipe.tokenizer is not None else None
    vocabulary = trained.vocab_size if trained is not None else 32_000
    special: dict[str, int | None] = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            make_config(dict(config.from_scratch or {}), vocabulary, special)
        )
    return count_parameters(model)


def _stage_lines(recipe: Recipe, stage: Stage, counts: tuple[int, int] | None) -> list[str]:
    if isinstance(stage, EvaluateStage):
        evaluation = recipe.evaluation_of(stage)
        questions = "all" if counts is None else str(min(counts[1], evaluation.max_examples or counts[1]))
        return [
            f"models {', '.join(recipe.models_of(stage))}; {questions} questions; greedy decoding",
            f"metrics {', '.join(evaluation.metrics)}",
        ]
    return _training_lines(recipe, stage, counts)


def _training_lines(
    recipe: Recipe, stage: FinetuneStage | DistillStage, counts: tuple[int, int] | None
) -> list[str]:
    training = recipe.training_of(stage)
    lines = [f"method {stage.method}" + _options_text(stage.options)]
    if isinstance(stage, DistillStage):
        teacher = recipe.teacher_stage_of(stage)
        lines.append(
            f"student from {stage.student_from or '[student]'}, teacher from {teacher or '[teacher]'}"
            if recipe.teacher
            else f"student from {stage.student_from or '[student]'}"
        )
    else:
        lines.append(f"trains the {stage.model}")
    micro = training.micro_batch_size or training.batch_size
    parts = f" in parts of {micro}" if micro != training.batch_size else ""
    lines.append(
        f"{_steps_text(training.max_steps, training.epochs, training.batch_size, counts)}, batch {training.batch_size}{parts}, "
        f"learning rate {training.learning_rate:g} ({training.schedule}, warm-up {training.warmup:g}), {training.precision}"
    )
    lines.append(
        f"prompts up to {training.input_limit} tokens, targets up to {training.output_limit}, sharing {training.sharing}"
    )
    return lines


def _steps_text(max_steps: int | None, epochs: float, batch: int, counts: tuple[int, int] | None) -> str:
    if max_steps is not None:
        return f"{max_steps} steps"
    if counts is None:
        return f"{epochs:g} epochs"
    return f"{math.ceil(epochs * math.ceil(counts[0] / batch))} steps ({epochs:g} epochs)"


def _options_text(options: dict[str, Any]) -> str:
    shown = ", ".join(f"{name} = {toml_value(value)}" for name, value in options.items())
    return f" ({shown})" if shown else ""
