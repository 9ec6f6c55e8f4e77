"""Runs the stages of a recipe in order, reusing those that are finished."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from kdzoo.errors import RunError, UserError
from kdzoo.files import why_not_written
from kdzoo.recipe import Recipe, Stage, StageModel, resolved_toml
from kdzoo.report.comparison import compare
from kdzoo.report.progress import Reporter
from kdzoo.report.runs_read import read_runs
from kdzoo.report.table import comparison_table, print_table
from kdzoo.runs import checks as preflight
from kdzoo.runs import fingerprints
from kdzoo.runs.context import ModelRef, RunContext, gpu_count
from kdzoo.runs.evaluation import evaluate
from kdzoo.runs.interruption import Interruption
from kdzoo.runs.next_step import how_to_compare
from kdzoo.runs.process_lock import process_lock
from kdzoo.runs.run_directory import RunDirectory, StageRecord
from kdzoo.runs.training import train
from kdzoo.runs.unfinished import where_it_continues
from kdzoo.tasks.load import DataReader

_REHEARSAL = "rehearsal: scores of tiny random models"


def run(
    recipe: Recipe,
    out: Path,
    reporter: Reporter,
    interruption: Interruption | None = None,
    data: DataReader | None = None,
) -> RunDirectory:
    """Run every stage of a recipe below ``out`` and print the table of its models.

    ``interruption`` says when the run is to end before its time; the same call then continues it. ``data`` are read by a reader
    that several runs may share.

    Raises:
        Interrupted: a signal has ended the run.
        UserError: the recipe asks for what cannot be had; nothing but the data's cache is written then.
        RunError: a stage failed for a reason outside the program, or another process is at work in the directory.
    """
    prints = fingerprints.of_stages(recipe)
    directory = RunDirectory(out / fingerprints.run_name(recipe, prints))
    context = RunContext(recipe, directory, data or DataReader.below(out), reporter, interruption)
    try:
        _check(context, prints)
        _tell_of_others(context)
        with directory.locked():
            _run_stages(context, prints)
    except UserError:
        raise
    except Exception as error:
        reason = _reason(error, directory)
        if reason is None:
            raise
        kept = "; what is finished is kept, and the same command continues" if directory.path.is_dir() else ""
        raise RunError(f"{reason}{kept}") from error
    finally:
        reporter.stop()
    _print_results(recipe, directory, reporter)
    return directory


def _print_results(recipe: Recipe, directory: RunDirectory, reporter: Reporter) -> None:
    """Print the table of the run's models, where they are, and what to do with them next."""
    found = compare(read_runs([directory.path]))
    for note in found.notes:
        reporter.say(note)
    if found.rows:
        table = comparison_table(found, _REHEARSAL if recipe.is_rehearsal else None)
        print_table(reporter.console, table)
    reporter.say(f"results: {directory.path}")
    if found.rows:
        reporter.say(f"next: {how_to_compare(directory.path)}")


def _check(context: RunContext, prints: dict[str, str]) -> None:
    """Look at models and data if a stage is left to do, so that what is wrong is told before anything is written.

    Raises:
        UserError: models do not fit, the data are wrong, or there are none to train on or to evaluate.
    """
    found = {name: context.directory.find_finished(name, fingerprint) for name, fingerprint in prints.items()}
    finished = {name: stage[0] for name, stage in found.items() if stage is not None}
    for notice in preflight.check(context, finished, tables=("tokenizer", *context.recipe.models)).notices:
        context.reporter.say(notice)
    if len(finished) < len(found):
        _tell_of_devices(context.reporter)


def _tell_of_devices(reporter: Reporter) -> None:
    count = gpu_count()
    if count > 1:
        reporter.say(f"one of {count} GPUs is used, the first; CUDA_VISIBLE_DEVICES=1 takes the second")


def _tell_of_others(context: RunContext) -> None:
    directory = context.directory
    if directory.path.exists():
        return
    for other in directory.others_of(resolved_toml(context.recipe)):
        context.reporter.say(f"{other} is this recipe under other versions, code or data, and stays as it is")


def _run_stages(context: RunContext, prints: dict[str, str]) -> None:
    directory = context.directory
    description = _description(context.recipe)
    directory.begin(resolved_toml(context.recipe), description, context.recipe.origin.rehearses)
    try:
        for stage in context.recipe.stages:
            _run_stage(context, stage, prints[stage.name])
            description["stages"][stage.name] = {"fingerprint": prints[stage.name], "status": "finished"}
            directory.describe({**description, "status": "running"})
    except Exception:
        _leave(directory, description, "failed")
        raise
    except BaseException:
        _leave(directory, description, "interrupted")
        raise
    directory.describe({**description, "status": "finished"})


def _leave(directory: RunDirectory, description: dict[str, Any], status: str) -> None:
    """Write the run's status; a disk that cannot be written at all must not hide the error that is being raised."""
    try:
        directory.describe_in_place({**description, "status": status})
    except OSError:
        return


def _reason(error: Exception, directory: RunDirectory) -> str | None:
    """Say why a run failed, if the reason lies outside the program."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        return "out of memory: a smaller training.micro_batch_size or evaluation.batch_size needs less"
    reason = why_not_written(error, directory.path)
    return None if reason is None else f"cannot write below {directory.path}: {reason}"


def _run_stage(context: RunContext, stage: Stage, fingerprint: str) -> StageRecord:
    reused = _reused(context, stage, fingerprint)
    if reused is not None:
        return reused

    def waits(process: str) -> None:
        context.reporter.say(f"{stage.name}: process {process} is doing this stage; waits for it")

    with process_lock(context.data.cache / "locks" / fingerprint, waits):
        # another run may have finished it since
        return _reused(context, stage, fingerprint) or _done(context, stage, fingerprint)


def _reused(context: RunContext, stage: Stage, fingerprint: str) -> StageRecord | None:
    found = context.directory.find_finished(stage.name, fingerprint)
    if found is None:
        return None
    folder, record = found
    context.directory.reuse(stage.name, folder)
    context.reporter.say(f"{stage.name}: finished before, reused from {folder}")
    return record


def _done(context: RunContext, stage: Stage, fingerprint: str) -> StageRecord:
    directory = context.directory
    begun = directory.begun(stage.name, fingerprint)
    continues = None if begun is None else where_it_continues(context.recipe, stage, begun)
    if continues is not None:
        context.reporter.say(f"{stage.name}: {continues}")
    folder = directory.begin_stage(stage.name, fingerprint)
    begin = time.monotonic()
    results = _results(context, stage, folder)
    context.reporter.say(f"{stage.name}: finished in {time.monotonic() - begin:.0f} s")
    record = StageRecord(stage.name, stage.kind, fingerprint, time.monotonic() - begin, results)
    directory.finish_stage(record)
    return record


def _results(context: RunContext, stage: Stage, folder: Path) -> dict[str, Any]:
    models = {name: _ref(context, model) for name, model in context.recipe.models_used(stage).items()}
    if stage.role is not None:
        return train.run(context, stage, folder, models)
    evaluated = {name: models[name] for name in context.recipe.models_of(stage)}
    return evaluate.run(context, stage, folder, evaluated, teacher=models.get("teacher", ModelRef("teacher")))


def _ref(context: RunContext, model: StageModel) -> ModelRef:
    return ModelRef(
        model.role, None if model.trained_by is None else context.directory.stage(model.trained_by)
    )


def _description(recipe: Recipe) -> dict[str, Any]:
    packages = ("kdzoo", "torch", "transformers", "peft", "accelerate", "tokenizers")
    return {
        "recipe": recipe.name,
        "seed": recipe.seed,
        "student_seed": recipe.seed_of("student"),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "machine": {"system": platform.platform(), "processor": platform.machine()},
        "stages": {},
    }
