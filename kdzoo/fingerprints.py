"""Hashes that say when a finished stage may stand for one that is asked for."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kdzoo import registry
from kdzoo.data.load import fingerprint as fingerprint_of_data
from kdzoo.recipe import DistillStage, FinetuneStage, ModelConfig, Recipe, Stage

# Settings that change how a stage is computed or watched, not what it gives.
_NOT_SHAPING = {"sharing", "logging_steps", "save_steps"}


def of_recipe(recipe: Recipe) -> str:
    """Eight characters that tell recipes of one name apart."""
    return _digest(recipe.model_dump(mode="json"))[:8]


def of_stages(recipe: Recipe) -> dict[str, str]:
    """The fingerprint of everything that shapes each stage's result, the stages that it builds on included."""
    data = fingerprint_of_data(recipe.data)
    prints: dict[str, str] = {}
    for stage in recipe.stages:
        prints[stage.name] = _digest(_shaping(recipe, stage, data, prints))
    return prints


def _shaping(recipe: Recipe, stage: Stage, data: str, prints: dict[str, str]) -> dict[str, Any]:
    common = {
        "kind": stage.kind,
        "data": data,
        "seed": recipe.seed,
        "tokenizer": recipe.tokenizer.model_dump(mode="json")
        if recipe.tokenizer
        else _tokenizer_source(recipe),
        "versions": [version("kdzoo"), version("torch"), version("transformers")],
    }
    if isinstance(stage, FinetuneStage):
        model = recipe.teacher if stage.model == "teacher" else recipe.student
        return {**common, **_training(recipe, stage), "role": stage.model, "model": _model(model)}
    if isinstance(stage, DistillStage):
        plugin = registry.find(stage.method)
        teacher_stage = recipe.teacher_stage_of(stage)
        # a method that learns without the teacher gives the same whoever the teacher is
        teacher: Any = None
        if plugin.method.uses_teacher:
            teacher = prints[teacher_stage] if teacher_stage else _model(recipe.teacher)
        student = prints[stage.student_from] if stage.student_from else _model(recipe.student)
        return {**common, **_training(recipe, stage), "teacher": teacher, "student": student}

    def print_of(name: str) -> Any:
        trained = recipe.training_stage(name, before=stage)
        return prints[trained.name] if trained else _model(getattr(recipe, name))

    evaluation = recipe.evaluation_of(stage)
    models = {name: print_of(name) for name in recipe.models_of(stage)}
    shaping = {**common, "models": models, "evaluation": evaluation.model_dump(mode="json")}
    # other metrics give the same whoever the teacher is
    return {**shaping, "teacher": print_of("teacher")} if "exaccerr" in evaluation.metrics else shaping


def _training(recipe: Recipe, stage: FinetuneStage | DistillStage) -> dict[str, Any]:
    plugin = registry.find(stage.method)
    training = recipe.training_of(stage).model_dump(mode="json", exclude=_NOT_SHAPING)
    return {
        "method": [stage.method, plugin.package, plugin.version],
        "options": stage.method_options().model_dump(mode="json"),
        "training": training,
    }


def _model(config: ModelConfig | None) -> Any:
    if config is None:
        return None
    described = config.model_dump(mode="json")
    if config.path is not None and Path(config.path).is_dir():
        # a local folder can change under its name; hub names come with a revision
        files = sorted(Path(config.path).glob("*"))
        described["files"] = [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in files if f.is_file()]
    return described


def _tokenizer_source(recipe: Recipe) -> Any:
    return [_model(recipe.student), _model(recipe.teacher)]


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
