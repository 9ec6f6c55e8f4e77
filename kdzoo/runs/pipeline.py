"""Runs the stages of a recipe in order, reusing those that are finished."""

from __future__ import annotations

import platform
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from kdzoo.engine.training.checkpoints import CHECKPOINTS, keep_last
from kdzoo.errors import RunError, UserError
from kdzoo.files import is_out_of_memory, why_not_written
from kdzoo.recipe import Recipe, Stage, StageModel, resolved_toml
from kdzoo.report.comparison import compare
from kdzoo.report.progress import Reporter
from kdzoo.report.runs_read import read_runs
from kdzoo.report.table import comparison_table, print_table
from kdzoo.runs import checks as preflight
from kdzoo.runs import fingerprints
from kdzoo.runs.context import ModelRef, RunContext
from kdzoo.runs.devices import gpu_count
from kdzoo.runs.evaluation import evaluate
from kdzoo.runs.interruption import Interruption
from kdzoo.runs.next_step import how_to_compare
from kdzoo.runs.process_lock import process_lock
from kdzoo.runs.processes import Processes, has_lost_another
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
    fresh: str | None = None,
    processes: Processes | None = None,
) -> RunDirectory:
    """Run every stage of a recipe below ``out`` and print the table of its models.

    ``interruption`` says when the run is to end before its time; the same call then continues it. ``data`` are read by a reader
    that several runs may share. ``fresh`` is a mark (`kdzoo.runs.fresh`): every stage is done anew that does not have it, by this
    call and by those that continue it. ``processes`` are those that do the run together: all of them call this.

    Raises:
        Interrupted: a signal has ended the run.
        UserError: the recipe asks for what cannot be had; nothing but the data's cache is written then.
        RunError: a stage failed for a reason outside the program, or another process is at work in the directory.
    """
    processes = processes or Processes()
    prints = processes.of_main(lambda: fingerprints.of_stages(recipe))
    directory = RunDirectory(out / fingerprints.run_name(recipe, prints))
    context = RunContext(recipe, directory, data or DataReader.below(out), reporter, interruption, processes)
    try:
        with ExitStack() as lock:
            processes.of_main(lambda: _begin(context, prints, fresh, lock))
            _run_stages(context, prints)
    except UserError:
        raise
    except Exception as error:
        reason = _reason(error, directory)
        if reason is None:
            raise
        how = "the same command without --fresh" if fresh is not None else "the same command"
        kept = f"; what is finished is kept, and {how} continues" if directory.path.is_dir() else ""
        raise RunError(f"{reason}{kept}") from error
    finally:
        reporter.stop()
    if processes.is_main:
        _print_results(recipe, directory, reporter)
    return directory


def _begin(context: RunContext, prints: dict[str, str], fresh: str | None, lock: ExitStack) -> None:
    """Check what the run needs, and keep others out of its directory until the ``lock`` is closed."""
    _check(context, prints, is_fresh=fresh is not None)
    _tell_of_others(context)
    lock.enter_context(context.directory.locked())
    if fresh is not None:
        context.directory.ask_anew(prints, fresh)


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


def _check(context: RunContext, prints: dict[str, str], *, is_fresh: bool) -> None:
    """Look at models and data if a stage is left to do, so that what is wrong is told before anything is written.

    Raises:
        UserError: models do not fit, the data are wrong, or there are none to train on or to evaluate.
    """
    find = context.directory.find_finished
    found = {name: None if is_fresh else find(name, fingerprint) for name, fingerprint in prints.items()}
    finished = {name: stage[0] for name, stage in found.items() if stage is not None}
    for notice in preflight.check(context, finished, tables=("tokenizer", *context.recipe.models)).notices:
        context.reporter.say(notice)
    if len(finished) < len(found) and context.processes.count == 1:
        _tell_of_devices(context.reporter)


def _tell_of_devices(reporter: Reporter) -> None:
    count = gpu_count()
    if count > 1:
        reporter.say(
            f"one of {count} GPUs is used, the first; CUDA_VISIBLE_DEVICES=1 takes the second, and "
            f"`torchrun --nproc-per-node {count} -m kdzoo run RECIPE` uses all"
        )


def _tell_of_others(context: RunContext) -> None:
    directory = context.directory
    if directory.path.exists():
        return
    for other in directory.others_of(resolved_toml(context.recipe)):
        context.reporter.say(f"{other} is this recipe under other versions, code or data, and stays as it is")


def _run_stages(context: RunContext, prints: dict[str, str]) -> None:
    directory, is_main = context.directory, context.processes.is_main
    description = _description(context.recipe)
    if is_main:
        directory.begin(resolved_toml(context.recipe), description, context.recipe.origin.rehearses)
    try:
        for stage in context.recipe.stages:
            _run_stage(context, stage, prints[stage.name])
            description["stages"][stage.name] = {"fingerprint": prints[stage.name], "status": "finished"}
            if is_main:
                directory.describe({**description, "status": "running"})
    except Exception:
        if is_main:
            _leave(directory, description, "failed")
        raise
    except BaseException:
        if is_main:
            _leave(directory, description, "interrupted")
        raise
    if is_main:
        directory.describe({**description, "status": "finished"})


def _leave(directory: RunDirectory, description: dict[str, Any], status: str) -> None:
    """Write the run's status; a disk that cannot be written at all must not hide the error that is being raised."""
    try:
        directory.describe_in_place({**description, "status": status})
    except OSError:
        return


def _reason(error: Exception, directory: RunDirectory) -> str | None:
    """Say why a run failed, if the reason lies outside the program."""
    if isinstance(error, torch.OutOfMemoryError) or is_out_of_memory(error):
        return "out of memory: a smaller training.micro_batch_size or evaluation.batch_size needs less"
    if has_lost_another(error):
        return "another process of this run has ended, and its own message says why"
    reason = why_not_written(error, directory.path)
    return None if reason is None else f"cannot write below {directory.path}: {reason}"


def _run_stage(context: RunContext, stage: Stage, fingerprint: str) -> None:
    processes = context.processes
    with ExitStack() as lock:
        begun = processes.of_main(lambda: _begun(context, stage, fingerprint, lock))
        if begun is None:
            return
        begin = time.monotonic()
        if processes.count > 1:
            with processes.main_first():
                _ = context.tokenizer  # it may be made and written
        results = _results(context, stage, begun)
        processes.wait()
        if not processes.is_main:
            return
        seconds = time.monotonic() - begin
        context.reporter.say(f"{stage.name}: finished in {seconds:.0f} s")
        context.directory.finish_stage(StageRecord(stage.name, stage.kind, fingerprint, seconds, results))
        keep_last(begun / CHECKPOINTS)


def _begun(context: RunContext, stage: Stage, fingerprint: str, lock: ExitStack) -> Path | None:
    """The folder of a stage that is to be done, which no other run does until the ``lock`` is closed; None if it is finished."""

    def waits(process: str) -> None:
        context.reporter.say(f"{stage.name}: process {process} is doing this stage; waits for it")

    if _is_reused(context, stage, fingerprint):
        return None
    lock.enter_context(process_lock(context.data.cache / "locks" / fingerprint, waits))
    if _is_reused(context, stage, fingerprint):  # another run may have finished it since
        return None
    directory = context.directory
    begun = directory.begun(stage.name, fingerprint)
    continues = None if begun is None else where_it_continues(context.recipe, stage, begun)
    if continues is not None:
        context.reporter.say(f"{stage.name}: {continues}")
    return directory.begin_stage(stage.name, fingerprint)


def _is_reused(context: RunContext, stage: Stage, fingerprint: str) -> bool:
    found = context.directory.find_finished(stage.name, fingerprint)
    if found is None:
        return False
    folder, _ = found
    context.directory.reuse(stage.name, folder)
    context.reporter.say(f"{stage.name}: finished before, reused from {folder}")
    return True


def _results(context: RunContext, stage: Stage, folder: Path) -> dict[str, Any]:
    models = {name: _ref(context, model) for name, model in context.recipe.models_used(stage).items()}
    if stage.role is not None:
        return train.run(context, stage, folder, models)
    evaluated = {name: models[name] for name in context.recipe.models_of(stage)}
    return evaluate.run(context, stage, folder, evaluated, teacher=models.get("teacher", ModelRef("teacher")))


def _ref(context: RunContext, model: StageModel) -> ModelRef:
    folder = None if model.trained_by is None else context.directory.stage(model.trained_by)
    return ModelRef(model.role, folder, model.begins_as, model.seed)


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
