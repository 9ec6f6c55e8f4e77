"""Hashes that say when a finished stage may stand for one that is asked for."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from kdzoo.engine.models.adapter_folder import base_of, is_adapter
from kdzoo.files import digest_of
from kdzoo.methods import registry
from kdzoo.recipe import EvaluateStage, Evaluation, Recipe, ScoredSet, StageModel, TrainingStage, scoring_of
from kdzoo.recipe.model_tables import SOURCE, ModelConfig
from kdzoo.recipe.prompt_table import PromptConfig
from kdzoo.recipe.scoring import KEYS as SCORING_KEYS
from kdzoo.recipe.tables import EvaluationTable
from kdzoo.tasks.fingerprint import fingerprint_of_data, fingerprint_of_metric

# Settings that change how a stage is computed or watched, not what it gives.
_WATCHING = {"sharing", "logging_steps", "save_steps", "loggers", "nonfinite_steps"}
_COMPUTING = {"attention", "gradient_checkpointing", "device_map"}

# What numbers depend on beside our own code.
_PACKAGES = ("kdzoo", "torch", "transformers", "peft", "tokenizers")

# Weights come in few files, and are often made or fetched anew: those of a small model are known by all their bytes.
_WEIGHTS_READ_WHOLE = 1 << 30

_ROOT = Path(__file__).parents[1]
# The rooms of our code that shape what a stage leaves: the version alone would not tell of a change in a working copy.
_TRAINING_CODE = ("methods", "engine", "runs/context.py", "runs/training", "tasks/fitting.py")
_EVALUATION_CODE = (*_TRAINING_CODE, "tasks", "runs/evaluation")


def run_name(recipe: Recipe, prints: dict[str, str]) -> str:
    """The name of the directory that a recipe fills; ``prints`` are its stages' fingerprints.

    The same recipe under other versions, code or data is another run, so that none destroys what another made. With
    other threads it is the same: what was begun with too many continues with fewer. Rehearsals of two recipes are two runs,
    also where the same tiny models stand in.
    """
    described: Any = _without_defaults(recipe.model_dump(mode="json", exclude={"threads"}))
    if recipe.origin.rehearses is not None:
        described = [described, recipe.origin.rehearses]
    return f"{recipe.name}-{_digest([described, prints])[:8]}"


def _without_defaults(described: dict[str, Any]) -> dict[str, Any]:
    """The same without those keys at their defaults that earlier runs, which count as the same, did not have."""
    if described["prompt"] == PromptConfig().model_dump(mode="json"):
        del described["prompt"]
    usual = EvaluationTable().model_dump(mode="json")
    for key in ("extract", "samples", "temperature"):
        if described["evaluation"][key] == usual[key]:
            del described["evaluation"][key]
    return described


def of_stages(recipe: Recipe) -> dict[str, str]:
    """The fingerprint of everything that shapes each stage's result, the stages that it builds on included."""
    prints: dict[str, str] = {}
    tokenizer = _tokenizer(recipe)
    for stage in recipe.stages:
        shaping = {
            "kind": stage.kind,
            "seed": recipe.seed if stage.role is None else recipe.seed_of_stage(stage),
            "tokenizer": tokenizer,
            **_prompt(recipe),
            "versions": [version(package) for package in _PACKAGES],
            "models": {
                name: _model(recipe, model, prints) for name, model in recipe.models_used(stage).items()
            },
            **(_evaluation(recipe, stage) if stage.role is None else _training(recipe, stage)),
        }
        prints[stage.name] = _digest(shaping)
    return prints


def _prompt(recipe: Recipe) -> dict[str, Any]:
    """How prompts are written, where it is not as they are."""
    return {} if recipe.prompt == PromptConfig() else {"prompt": recipe.prompt.model_dump(mode="json")}


def _tokenizer(recipe: Recipe) -> Any:
    """Where the tokenizer comes from: one that is made for the run depends on all that is trained on."""
    source = recipe.tokenizer_source
    texts = [] if source.train is None else [fingerprint_of_data(data) for data in recipe.training_data]
    described = asdict(source)
    if not source.trust_remote_code:
        del described["trust_remote_code"]
    return [described, _files(source.path), texts]


def _training(recipe: Recipe, stage: TrainingStage) -> dict[str, Any]:
    return {
        "data": fingerprint_of_data(recipe.training_data_of(stage)),
        "code": _code(_TRAINING_CODE),
        "method": _method(stage.method),
        "parts": {}
        if stage.kind == "finetune"
        else {name: _method(part.method) for name, part in stage.parts.items()},
        "options": stage.method_options().model_dump(mode="json"),
        "training": _training_settings(recipe, stage),
        **_scoring(recipe, stage),
    }


def _method(name: str) -> list[Any]:
    plugin = registry.find(name)
    return [name, plugin.package, plugin.version, _code_of(plugin.module)]


def _training_settings(recipe: Recipe, stage: TrainingStage) -> dict[str, Any]:
    """The settings that shape what training gives, without those that others of them put out of force."""
    training = recipe.training_of(stage)
    unused = {*_WATCHING, *SCORING_KEYS}
    if training.max_steps is not None:
        unused.add("epochs")
    if training.group_by == "none":
        unused.add("group_size")
    return {
        **training.model_dump(mode="json", exclude=unused),
        "micro_batch_size": training.micro_batch_size or training.batch_size,
    }


def _scoring(recipe: Recipe, stage: TrainingStage) -> dict[str, Any]:
    """What shapes the scores that are written, and the weights that are kept by them, of a stage that is scored."""
    scoring = scoring_of(recipe, stage)
    if scoring is None:
        return {}
    return {
        "scored": [scoring.every, scoring.set, scoring.examples, scoring.keep_best],
        "scored by": fingerprint_of_metric(scoring.metric, scoring.evaluation),
        "scored on": fingerprint_of_data(scoring.data),
        "scoring": _answering(scoring.evaluation, {"input_limit", "output_limit"}),
        "scoring code": _code(_EVALUATION_CODE),
    }


def _evaluation(recipe: Recipe, stage: EvaluateStage) -> dict[str, Any]:
    return {
        "code": _code(_EVALUATION_CODE),
        "evaluated": recipe.models_of(stage),
        "sets": [_scored(scored) for scored in recipe.sets_of(stage)],
    }


def _scored(scored: ScoredSet) -> Any:
    evaluation = scored.evaluation
    return {
        "name": scored.name,
        "data": fingerprint_of_data(scored.data),
        "evaluation": _answering(evaluation, {"max_examples", "input_limit", "output_limit"}),
        "metrics": [fingerprint_of_metric(name, evaluation) for name in evaluation.metrics],
    }


def _answering(evaluation: Evaluation, limits: set[str]) -> dict[str, Any]:
    """What shapes a model's answers, and what of them is judged, where that is not all."""
    extract = set[str]() if evaluation.extract == "none" else {"extract"}
    return evaluation.model_dump(mode="json", include=limits | extract)


def _model(recipe: Recipe, model: StageModel, prints: dict[str, str]) -> Any:
    """The stage that trained a model, or the recipe's table of it with its files."""
    if model.trained_by is not None and model.begins_as is None:
        return prints[model.trained_by]
    config = recipe.model(model.role)
    if config is None:
        return None
    if model.trained_by is not None:
        own = config.model_dump(mode="json", exclude={*_COMPUTING, *SOURCE})
        return {"begins as": prints[model.trained_by], **own}
    described = config.model_dump(mode="json", exclude=_COMPUTING)
    seed = None if config.from_scratch is None else recipe.seed_of(model.role, model.seed)
    return {**described, **_quantised(config), "seed": seed, "files": _files(config.path)}


def _quantised(config: ModelConfig) -> dict[str, str]:
    """What quantises the weights, where that is not the usual package."""
    if config.quantization is None:
        return {}
    from kdzoo.engine.models.placement import quantiser_of  # needs torch

    by = quantiser_of(config.quantization)
    return {} if by in (None, "bitsandbytes") else {"quantised by": str(by)}


def _files(path: str | None) -> Any:
    """A local folder can change under its name, and so can the base of an adapter; hub names come with a revision."""
    if path is None or not Path(path).is_dir():
        return None
    folder = Path(path)
    files = sorted(file for file in folder.glob("*") if file.is_file())
    states = [[file.name, digest_of(file, whole=_WEIGHTS_READ_WHOLE)] for file in files]
    if not is_adapter(folder):
        return states
    base = base_of(folder)
    return [states, _files(base.path) or [base.path, base.revision]]


@cache
def _code(rooms: tuple[str, ...]) -> str:
    places = [_ROOT / room for room in rooms]
    files = {file for place in places for file in (place.rglob("*.py") if place.is_dir() else [place])}
    return _digest_of_files(sorted(files), _ROOT)


def _code_of(plugin: ModuleType) -> str | None:
    """The code of a plugin that is a file of its own, or of the whole package that it belongs to.

    A method that is being worked on changes without its version; what lies outside its package is not seen.
    """
    top = sys.modules.get(plugin.__name__.partition(".")[0])
    for module in (top, plugin):  # a namespace package has no file
        file = getattr(module, "__file__", None)
        if file is not None and Path(file).is_file():
            folder = Path(file).parent
            in_package = Path(file).name == "__init__.py"
            return _digest_of_files(sorted(folder.rglob("*.py")) if in_package else [Path(file)], folder)
    return None


def _digest_of_files(files: list[Path], root: Path) -> str:
    return _digest([[str(file.relative_to(root)), digest_of(file)] for file in files])


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
