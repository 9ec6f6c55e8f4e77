"""What a run would do, without doing it: ``kdzoo run --dry-run``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from kdzoo.recipe import (
    ModelConfig,
    Recipe,
    Stage,
    Training,
    TrainingStage,
    check_paths,
    is_there,
    scoring_of,
)
from kdzoo.recipe.model_tables import TokenizerConfig
from kdzoo.recipe.names import called
from kdzoo.recipe.places import place_of_model
from kdzoo.recipe.rows_at_a_time import AUTO
from kdzoo.recipe.toml_text import toml_value
from kdzoo.runs import fingerprints
from kdzoo.runs.dry_run_data import Read, data_lines, scored_sets, scoring_lines
from kdzoo.runs.run_directory import RunDirectory
from kdzoo.tasks.load import DataReader

if TYPE_CHECKING:
    from kdzoo.runs.memory.stages import StageMemory

# What a stage learns from that needs no table of its own, by the names that methods call it by.
_OF_ITSELF = {
    "student": "learns from itself",
    "base": "learns from itself without its adapter",
    "average": "learns from the average of its own weights",
}


def print_dry_run(
    recipe: Recipe,
    out: Path,
    console: Console,
    data: DataReader,
    *,
    fresh: bool = False,
    estimates: bool = True,
) -> None:
    """Print the resolved stages, models, steps and options, and what would be reused. Writes nothing below ``out``.

    ``fresh``: everything is to be done anew. ``estimates``: each training's memory is among it. The checks are those of a run; where data are missing, what can be said without them is printed before that is told.

    Raises:
        UserError: something is missing or does not fit, that can be seen without a model hub.
        RunError: the run's directory could not be written.
    """
    prints = fingerprints.of_stages(recipe)
    directory = RunDirectory(out / fingerprints.run_name(recipe, prints))
    finished = {}
    for name, fingerprint in prints.items():
        found = directory.find_finished(name, fingerprint)
        if found is not None and not fresh:
            finished[name] = found[0]
    seen = _look(recipe, directory, finished, data)

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    student_seed = "" if recipe.student_seed is None else f", the student's {recipe.student_seed}"
    say(f"recipe   {recipe.name} (seed {recipe.seed}{student_seed})")
    say(f"run      {directory.path}")
    for line in data_lines(recipe, seen.read):
        say(line)
    for role, model in recipe.models.items():
        say(f"{role:8} {_model_text(model, seen.parameters.get(role))}")
    if seen.elsewhere:
        say(f"         whether {' and '.join(seen.elsewhere)} fit is seen when they are loaded")
    for notice in seen.notices:
        say(notice)
    for number, stage in enumerate(recipe.stages, start=1):
        say(f"\n{number}. {stage.name} ({stage.kind})")
        for line in _stage_lines(recipe, stage, seen.read):
            say(f"   {line}")
        for line in _memory_lines(seen, stage) if estimates else ():
            say(f"   {line}")
        there = _what_is_there(recipe, stage, directory, finished, prints[stage.name])
        say(f"   {'to do anew' if fresh else there}")
    check_paths(recipe)


def _memory_lines(seen: _Seen, stage: Stage) -> Iterator[str]:
    if stage.name in seen.memory:
        from kdzoo.runs.memory.stages import in_words

        yield from in_words(seen.memory[stage.name])


def _what_is_there(
    recipe: Recipe, stage: Stage, directory: RunDirectory, finished: dict[str, Path], fingerprint: str
) -> str:
    if stage.name in finished:
        return f"reused: {finished[stage.name]}"
    begun = directory.begun(stage.name, fingerprint)
    if begun is None:
        return "to do"
    from kdzoo.runs.unfinished import where_it_continues

    continues = where_it_continues(recipe, stage, begun)
    return "to do" if continues is None else f"to do: {continues}"


@dataclass(frozen=True)
class _Seen:
    """What there is on this machine of the data and models that a recipe names.

    ``read`` gives the examples of a dataset's table, None where its files are not there; ``parameters`` say how many each model from scratch has;
    ``elsewhere`` are the tables whose files only a model hub has; ``notices`` are the checks'; ``memory`` is that of the stages that train.
    """

    read: Read
    parameters: dict[str, str]
    elsewhere: list[str]
    notices: list[str]
    memory: dict[str, StageMemory]


def _look(recipe: Recipe, directory: RunDirectory, finished: dict[str, Path], reader: DataReader) -> _Seen:
    """Do a run's checks with what is on this machine."""
    tables: dict[str, ModelConfig | TokenizerConfig] = dict(recipe.models)
    if recipe.tokenizer is not None:
        tables = {"tokenizer": recipe.tokenizer, **tables}
    elsewhere = [name for name, table in tables.items() if not _is_here(table)]
    here = [name for name in tables if name not in elsewhere]
    data = [*recipe.training_data, *(scored.data for scored in scored_sets(recipe))]
    there = [one for one in data if is_there(one)]
    if not there and not here:
        return _Seen(lambda data: None, {}, elsewhere, [], {})
    # a look at models and data needs torch, which takes seconds to import
    from kdzoo.report.progress import Reporter
    from kdzoo.runs import checks as preflight
    from kdzoo.runs.context import RunContext

    context = RunContext(recipe, directory, reader, Reporter(quiet=True))
    notices, memory = preflight.check(context, finished, here)
    reports = [context.splits(one).report for one in there]
    left_out = [f"data: {count} {what}" for report in reports for what, count in report.items() if count]
    tokenizer = preflight.known_tokenizer(context, here)
    at_most = "" if tokenizer is not None else "at most "  # it is still to be trained
    parameters = {
        role: f"{at_most}{count:,} parameters"
        for role, count in preflight.count_from_scratch(recipe, tokenizer).items()
    }
    return _Seen(
        lambda data: context.splits(data) if is_there(data) else None,
        parameters,
        elsewhere,
        [*dict.fromkeys(left_out), *notices],
        memory,
    )


def _is_here(table: ModelConfig | TokenizerConfig) -> bool:
    """Whether what a table names needs no model hub: it is made by the run, a folder, or in the hub's cache."""
    if table.path is None or Path(table.path).is_dir():
        return True
    from huggingface_hub import try_to_load_from_cache

    files = ["tokenizer_config.json"]
    revision = None
    if isinstance(table, ModelConfig):
        files.append("config.json")
        revision = table.revision
    return all(isinstance(try_to_load_from_cache(table.path, file, revision=revision), str) for file in files)


def _model_text(config: ModelConfig, parameters: str | None) -> str:
    parts = []
    if config.path is not None:
        here = Path(config.path).is_dir()
        parts.append(config.path + (f" ({config.revision})" if config.revision else ""))
        parts.append("local folder" if here else "from the model hub, or its cache on this machine")
    else:
        assert config.from_scratch is not None
        parts.append(f"{config.from_scratch['architecture']} from scratch")
        parts.append(parameters or "parameters are counted when the tokenizer is loaded")
    if config.lora is not None:
        parts.append(
            f"LoRA rank {config.lora.rank}, alpha {config.lora.alpha:g} on {config.lora.target_modules}"
        )
    else:
        parts.append("all weights trained")
    parts.append(config.dtype)
    if config.quantization is not None:
        parts.append(f"linear layers in {config.quantization}")
    if config.device_map is not None:
        parts.append("over all GPUs")
    return ", ".join(parts)


def _stage_lines(recipe: Recipe, stage: Stage, read: Read) -> list[str]:
    if stage.role is None:
        return scoring_lines(recipe, stage, read)
    return _training_lines(recipe, stage, read)


def _training_lines(recipe: Recipe, stage: TrainingStage, read: Read) -> list[str]:
    training, splits = recipe.training_of(stage), read(recipe.training_data_of(stage))
    examples = None if splits is None else len(splits.train)
    lines = [f"method {stage.method}" + _options_text(stage.options)]
    if stage.kind == "distill":
        lines += [
            f"{name} of {part.method}" + _options_text(part.options) for name, part in stage.parts.items()
        ]
        lines.append(
            ", ".join([f"student from {stage.student_from or '[student]'}", *_teachers(recipe, stage)])
        )
    else:
        begun = "" if stage.student_from is None else f", from {stage.student_from}"
        lines.append(f"trains {called(stage.role)}{begun}")
    lines += _of_itself(stage)
    if recipe.datasets:
        lines.append(f"trains on {stage.data or '[data]'}")
    micro = training.micro_batch_size or training.batch_size
    parts = "" if micro == training.batch_size else f" in parts of {micro}"
    if micro == AUTO:
        parts = " in parts that fit in memory"
    seed = "" if stage.seed is None else f", seed {stage.seed}"
    lines.append(
        f"{_steps_text(training, examples)}, batch {training.batch_size}{parts}, "
        f"learning rate {training.learning_rate:g} ({training.schedule}, warm-up {training.warmup:g}), {training.precision}{seed}"
    )
    left_out = " (longer ones left out)" if training.long_prompts == "leave_out" else ""
    lines.append(
        f"prompts up to {training.input_limit} tokens{left_out}, targets up to {training.output_limit}, "
        f"sharing {training.sharing}"
    )
    scoring = scoring_of(recipe, stage)
    if scoring is not None:
        questions = read(scoring.data)
        lines.append(f"scored {scoring.in_words(None if questions is None else len(questions.evaluation))}")
    return lines


def _teachers(recipe: Recipe, stage: TrainingStage) -> Iterator[str]:
    """Whom the stage learns from beside itself, and where each comes from."""
    for name in stage.teachers:
        table = ".".join(str(part) for part in place_of_model(name))
        yield f"{name} from {recipe.teacher_stage_of(stage, name) or f'[{table}]'}"


def _of_itself(stage: TrainingStage) -> Iterator[str]:
    """What the stage learns from its own model, and from another prompt."""
    options = stage.method_options()
    what = _OF_ITSELF.get(options.teacher_model, "")
    if options.average_decay is not None:
        what += (
            f" of decay {options.average_decay:g}"
            if what
            else f"keeps an average of its weights of decay {options.average_decay:g}"
        )
    if options.privileged_prompt is not None:
        shows = "the target too" if "{target}" in options.privileged_prompt else "another text"
        what += ("; " if what else "") + f"privileged prompts show {shows}"
    if what:
        yield what


def _steps_text(training: Training, examples: int | None) -> str:
    if training.max_steps is not None:
        return f"{training.max_steps} steps"
    epochs = f"{training.epochs:g} epochs"
    if examples is None:
        return epochs
    most = "at most " if training.long_prompts == "leave_out" else ""
    return f"{most}{training.steps(examples)} steps ({epochs})"


def _options_text(options: dict[str, Any]) -> str:
    shown = ", ".join(f"{name} = {toml_value(value)}" for name, value in options.items())
    return f" ({shown})" if shown else ""
