"""What can be known to be wrong before a run writes anything: models, tokenizers and limits that do not fit."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedTokenizerBase
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from kdzoo import registry
from kdzoo.engine.models import Lora, add_lora, load_config, make_config
from kdzoo.engine.tokenizers import check_same_vocabulary, load_tokenizer
from kdzoo.errors import UserError
from kdzoo.recipe import DistillStage, EvaluateStage, FinetuneStage, ModelConfig, Recipe, Stage

_ROLES = ("teacher", "student")


def check(recipe: Recipe) -> None:
    """Look at every model's configuration, adapters and tokenizer; weights are not loaded.

    Raises:
        UserError: something cannot be found, or does not fit the rest.
    """
    models = _models(recipe)
    configs = {role: _config(model) for role, model in models.items()}
    for role, model in models.items():
        _check_model(role, model, configs[role])
    _check_tokenizers(recipe, models, configs)
    for stage in recipe.stages:
        _check_positions(recipe, stage, configs)
        if not isinstance(stage, EvaluateStage):
            for logger in recipe.training_of(stage).loggers:
                _check_logger(stage, logger)


def _models(recipe: Recipe) -> dict[str, ModelConfig]:
    models = {"teacher": recipe.teacher, "student": recipe.student}
    return {role: model for role, model in models.items() if model is not None}


def _config(model: ModelConfig) -> PretrainedConfig:
    if model.from_scratch is not None:
        return make_config(dict(model.from_scratch), 32_000, {})
    assert model.path is not None
    try:
        return load_config(model.path, model.revision)
    except UserError as error:
        if Path(model.path).is_dir():
            raise
        raise UserError(
            f"{error} There is no folder of that name here either; --rehearse runs the recipe without it"
        ) from error


def _check_model(role: str, model: ModelConfig, config: PretrainedConfig) -> None:
    """Build the model without its weights, as the stages will build it."""
    try:
        with torch.device("meta"):
            built = AutoModelForCausalLM.from_config(config, attn_implementation=model.attention)
    except (ImportError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise UserError(f"the {role} cannot be built: {' '.join(str(error).split())}") from error
    if model.gradient_checkpointing and not built.supports_gradient_checkpointing:
        raise UserError(f"{role}.gradient_checkpointing: {config.model_type} does not support it")
    if model.lora is not None:
        lora = model.lora
        try:
            with torch.device("meta"):
                add_lora(built, Lora(lora.rank, lora.alpha, lora.dropout, lora.target_modules), seed=0)
        except UserError as error:
            raise UserError(f"{role}.{error}") from error


def _check_tokenizers(
    recipe: Recipe, models: Mapping[str, ModelConfig], configs: Mapping[str, PretrainedConfig]
) -> None:
    """Token ids must mean the same to all models, and each pretrained model must know all of them."""
    named = recipe.tokenizer
    if named is not None and named.train is not None:
        return
    pretrained = {role: model for role, model in models.items() if model.path is not None}
    own: dict[str, PreTrainedTokenizerBase] = {}
    for role, model in pretrained.items():
        assert model.path is not None
        try:
            own[role] = load_tokenizer(model.path, model.revision)
        except UserError:
            if named is None:
                raise  # otherwise that may be why a tokenizer is named
    if len(own) == len(_ROLES):
        check_same_vocabulary(own["student"], own["teacher"])
    shared = None if named is None or named.path is None else load_tokenizer(named.path)
    for role in pretrained:
        tokenizer = own[role] if shared is None else shared
        if role in own and tokenizer.get_vocab() != own[role].get_vocab():
            raise UserError(
                f"tokenizer.path names another vocabulary than the {role}'s own; leave [tokenizer] out, or name "
                f"the tokenizer that the {role} was trained with"
            )
        _check_size(role, tokenizer, configs[role])


def _check_size(role: str, tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    unseen = set(tokenizer.all_special_tokens) - {
        tokenizer.bos_token,
        tokenizer.eos_token,
    }  # padding, and such
    highest = max(number for token, number in tokenizer.get_vocab().items() if token not in unseen)
    known = config.get_text_config().vocab_size
    if highest >= known:
        raise UserError(
            f"the tokenizer has token ids up to {highest}, and the {role} knows only {known} tokens"
        )


def _check_positions(recipe: Recipe, stage: Stage, configs: Mapping[str, PretrainedConfig]) -> None:
    limits = recipe.evaluation_of(stage) if isinstance(stage, EvaluateStage) else recipe.training_of(stage)
    longest = (limits.input_limit or 0) + (limits.output_limit or 0)
    for role, config in configs.items():
        positions = getattr(config.get_text_config(), "max_position_embeddings", None)
        if positions is not None and positions < longest and role in _roles_in(recipe, stage):
            raise UserError(
                f"stage {stage.name!r}: the {role} has {positions} positions, fewer than the {longest} of "
                "input_limit + output_limit"
            )


def _roles_in(recipe: Recipe, stage: Stage) -> set[str]:
    """The models that a stage runs."""
    if isinstance(stage, FinetuneStage):
        return {stage.model}
    if isinstance(stage, DistillStage):
        uses_teacher = registry.find(stage.method).method.uses_teacher
        return {"student", "teacher"} if uses_teacher else {"student"}
    trained = [recipe.training_stage(name, before=stage) for name in recipe.models_of(stage)]
    roles = {s.model if isinstance(s, FinetuneStage) else "student" for s in trained if s is not None}
    compared = {"teacher"} if "exaccerr" in recipe.evaluation_of(stage).metrics else set()
    return roles | compared | (set(recipe.models_of(stage)) & set(_ROLES))


def _check_logger(stage: Stage, name: str) -> None:
    known = sorted(INTEGRATION_TO_CALLBACK)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
        raise UserError(f"stage {stage.name!r}: no logger is called {name!r}; {hint}")
    try:
        INTEGRATION_TO_CALLBACK[name]()
    except (RuntimeError, ImportError) as error:
        raise UserError(f"stage {stage.name!r}: the logger {name!r} cannot be used: {error}") from error
