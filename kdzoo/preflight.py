"""What can be known to be wrong before a run writes anything: models, tokenizers and limits that do not fit."""

from __future__ import annotations

from transformers import PretrainedConfig

from kdzoo.engine.models import load_config, make_config
from kdzoo.engine.tokenizers import check_same_vocabulary, load_tokenizer
from kdzoo.errors import UserError
from kdzoo.recipe import EvaluateStage, ModelConfig, Recipe


def check(recipe: Recipe) -> None:
    """Look at every model's configuration and tokenizer; weights are not loaded.

    Raises:
        UserError: something cannot be found, or does not fit the rest.
    """
    models = {
        role: m for role, m in (("teacher", recipe.teacher), ("student", recipe.student)) if m is not None
    }
    configs = {role: _config(model) for role, model in models.items()}
    if recipe.tokenizer is None:
        loaded = [load_tokenizer(m.path, m.revision) for m in models.values() if m.path is not None]
        if len(loaded) == 2:
            teacher, student = loaded
            check_same_vocabulary(student, teacher)
    elif recipe.tokenizer.path is not None:
        load_tokenizer(recipe.tokenizer.path)
    for stage in recipe.stages:
        limits = (
            recipe.evaluation_of(stage) if isinstance(stage, EvaluateStage) else recipe.training_of(stage)
        )
        longest = (limits.input_limit or 0) + (limits.output_limit or 0)
        for role, config in configs.items():
            positions = getattr(config.get_text_config(), "max_position_embeddings", None)
            if positions is not None and positions < longest:
                raise UserError(
                    f"stage {stage.name!r}: the {role} has {positions} positions, fewer than the {longest} of "
                    "input_limit + output_limit"
                )


def _config(model: ModelConfig) -> PretrainedConfig:
    if model.from_scratch is not None:
        return make_config(dict(model.from_scratch), 32_000, {})
    assert model.path is not None
    return load_config(model.path, model.revision)
