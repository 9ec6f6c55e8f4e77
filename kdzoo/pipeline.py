"""Runs the stages of a recipe in order, reusing those that are finished."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kdzoo import fingerprints, preflight, registry
from kdzoo.errors import RunError
from kdzoo.recipe import DistillStage, EvaluateStage, FinetuneStage, Recipe, Stage, resolved_toml
from kdzoo.report.progress import Reporter
from kdzoo.report.table import ModelRow, model_table, print_table
from kdzoo.run_directory import RunDirectory, StageRecord
from kdzoo.stages import distill, evaluate, finetune
from kdzoo.stages.context import ModelRef, RunContext


def run(recipe: Recipe, out: Path, reporter: Reporter) -> RunDirectory:
    """Run every stage of a recipe below ``out`` and print the table of its models.

    Raises:
        UserError: the recipe asks for what cannot be had.
        RunError: a stage failed for a reason outside the program.
    """
    preflight.check(recipe)
    directory = RunDirectory(out / f"{recipe.name}-{fingerprints.of_recipe(recipe)}")
    description = _description(recipe)
    directory.begin(resolved_toml(recipe), description)
    context = RunContext(recipe, directory, out / ".cache", reporter)
    prints = fingerprints.of_stages(recipe)
    records: dict[str, StageRecord] = {}
    try:
        for stage in recipe.stages:
            records[stage.name] = _run_stage(context, stage, prints[stage.name], records)
            description["stages"][stage.name] = {"fingerprint": prints[stage.name], "status": "finished"}
            directory.describe({**description, "status": "running"})
    except OSError as error:
        directory_status(directory, description, "failed")
        raise RunError(f"cannot write below {directory.path}: {error.strerror or error}") from error
    except BaseException:
        directory_status(directory, description, "interrupted")
        raise
    directory_status(directory, description, "finished")
    rows = model_rows(recipe, records)
    if rows:
        print_table(reporter.console, model_table(rows))
    reporter.say(f"results: {directory.path}")
    return directory


def directory_status(directory: RunDirectory, description: dict[str, Any], status: str) -> None:
    """Write the run's status; a disk that is full must not hide the error that is being raised."""
    try:
        directory.describe({**description, "status": status})
    except OSError:
        return


def model_rows(recipe: Recipe, records: dict[str, StageRecord]) -> list[ModelRow]:
    """Put together each evaluated model's scores and the cost of the stage that trained it."""
    scores: dict[str, dict[str, Any]] = {}
    for stage in recipe.stages:
        if isinstance(stage, EvaluateStage):
            for model, result in records[stage.name].results["models"].items():
                scores.setdefault(model, {}).update(result)
    rows = []
    for model, result in scores.items():
        trained = _training_stage(recipe, model, records)
        rows.append(
            ModelRow(
                model,
                result["parameters"],
                {name: value for name, value in result["scores"].items() if value is not None},
                None if trained is None else records[trained.name].results["training_seconds"],
                is_baseline=isinstance(trained, DistillStage) and not _uses_teacher(trained),
            )
        )
    return rows


def _run_stage(
    context: RunContext, stage: Stage, fingerprint: str, records: dict[str, StageRecord]
) -> StageRecord:
    directory = context.directory
    found = directory.find_finished(stage.name, fingerprint)
    if found is not None:
        folder, record = found
        directory.reuse(stage.name, folder)
        context.reporter.say(f"{stage.name}: finished before, reused from {folder}")
        return record
    folder = directory.begin_stage(stage.name, fingerprint)
    begin = time.monotonic()
    results = _results(context, stage, folder)
    context.reporter.say(f"{stage.name}: finished in {time.monotonic() - begin:.0f} s")
    record = StageRecord(stage.name, stage.kind, fingerprint, time.monotonic() - begin, results)
    directory.finish_stage(record)
    return record


def _results(context: RunContext, stage: Stage, folder: Path) -> dict[str, Any]:
    recipe = context.recipe
    if isinstance(stage, FinetuneStage):
        return finetune.run(context, stage, folder)
    if isinstance(stage, DistillStage):
        student = _ref(context, stage.student_from, "student")
        teacher = None
        if recipe.teacher is not None:
            teacher = _ref(context, recipe.teacher_stage_of(stage), "teacher")
        return distill.run(context, stage, folder, student=student, teacher=teacher)
    models = {name: _evaluated(context, name, stage) for name in recipe.models_of(stage)}
    return evaluate.run(context, stage, folder, models, teacher=_evaluated(context, "teacher", stage))


def _ref(context: RunContext, stage_name: str | None, role: str) -> ModelRef:
    return ModelRef(role, None if stage_name is None else context.directory.stage(stage_name))


def _evaluated(context: RunContext, name: str, stage: EvaluateStage) -> ModelRef:
    """A model to evaluate: ``teacher`` and ``student`` are the recipe's, unless trained before; else a stage's."""
    recipe = context.recipe
    trained = recipe.training_stage(name, before=stage)
    if trained is None:
        return ModelRef(name)
    role = trained.model if isinstance(trained, FinetuneStage) else "student"
    return _ref(context, trained.name, role)


def _training_stage(
    recipe: Recipe, model: str, records: dict[str, StageRecord]
) -> FinetuneStage | DistillStage | None:
    stage = recipe.training_stage(model)
    return stage if stage is not None and stage.name in records else None


def _uses_teacher(stage: DistillStage) -> bool:
    return registry.find(stage.method).method.uses_teacher


def _description(recipe: Recipe) -> dict[str, Any]:
    packages = ("kdzoo", "torch", "transformers", "peft", "accelerate", "tokenizers")
    return {
        "recipe": recipe.name,
        "seed": recipe.seed,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "machine": {"system": platform.platform(), "processor": platform.machine()},
        "stages": {},
    }
