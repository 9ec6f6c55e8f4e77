"""Models before a run: configurations, weights, adapters, and settings that their architectures cannot have."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedTokenizerBase

from kdzoo.engine.models.kept_layers import cut_config
from kdzoo.engine.models.loading import add_lora, count_parameters, load_config, make_config
from kdzoo.engine.models.tokenizers import load_tokenizer, special_ids, train_tokenizer
from kdzoo.errors import UserError
from kdzoo.recipe import ModelConfig, Recipe
from kdzoo.recipe.lines import Key
from kdzoo.recipe.names import called
from kdzoo.recipe.places import place_of_model
from kdzoo.recipe.problems import Problems
from kdzoo.runs.checks.quantization import check_not_quantized_yet, check_quantization
from kdzoo.runs.checks.weights import open_weights
from kdzoo.runs.lora import as_peft_s

# Stands in where the vocabulary is known to a model hub only.
_ANY_VOCABULARY = 32_000


def check_models(
    recipe: Recipe, tables: Collection[str], problems: Problems, notices: Problems
) -> dict[str, PretrainedConfig]:
    """Build every model without memory for its weights, and open the weights of those that have any.

    Gives the configurations by role, of those in ``tables`` that can be built.
    """
    configs: dict[str, PretrainedConfig] = {}
    used = {model.role for stage in recipe.stages for model in recipe.models_used(stage).values()}
    for role, model in recipe.models.items():
        if role in recipe.teachers and role not in used:
            notices.add(place_of_model(role), "no stage uses this teacher")
        check_quantization(role, model, problems)
        if role not in tables:
            continue
        config = _config(recipe, role, model, tables, problems)
        if config is not None:
            check_not_quantized_yet(role, model, config, problems)
        if config is not None and _can_be_built(role, model, config, problems):
            configs[role] = config
            if model.path is not None:
                _check_weights(role, model, problems, notices)
    return configs


def count_from_scratch(recipe: Recipe, tokenizer: PreTrainedTokenizerBase | None) -> dict[str, int]:
    """The parameters of the models from scratch by role, adapters aside.

    Without a tokenizer that is still to be trained they are as many as it lets them have at most; those that a
    tokenizer on a model hub decides on are left out.
    """
    if tokenizer is not None:
        vocabulary, special = len(tokenizer), special_ids(tokenizer)
    elif recipe.tokenizer_source.train is not None:
        vocabulary, special = _vocabulary(recipe, ())
    else:
        return {}
    return {
        role: count_parameters(_build(make_config(model.from_scratch, vocabulary, special), None))
        for role, model in recipe.models.items()
        if model.from_scratch is not None
    }


def _config(
    recipe: Recipe, role: str, model: ModelConfig, tables: Collection[str], problems: Problems
) -> PretrainedConfig | None:
    if model.from_scratch is not None:
        vocabulary, special = _vocabulary(recipe, tables)
        return _config_from_scratch(role, model.from_scratch, vocabulary, special, problems)
    assert model.path is not None
    try:
        whole = load_config(
            model.path, model.revision, model.gguf_file, trust_remote_code=model.trust_remote_code
        )
    except UserError as error:
        hint = ""
        if not Path(model.path).is_dir():
            hint = ". There is no folder of that name here either; --rehearse runs the recipe without it"
        problems.add(place_of_model(role, "path"), f"{str(error).removesuffix('.')}{hint}")
        return None
    try:
        return whole if model.keep_layers is None else cut_config(whole, model.keep_layers)
    except UserError as error:
        problems.add(place_of_model(role, "keep_layers"), str(error).removeprefix("keep_layers: "))
        return None


def _config_from_scratch(
    role: str, settings: dict[str, Any], vocabulary: int, special: dict[str, int | None], problems: Problems
) -> PretrainedConfig | None:
    try:
        return make_config(settings, vocabulary, special)
    except UserError as error:
        key = _blamed(role, settings, vocabulary, special, error)
        problems.add(key, str(error).removeprefix("from_scratch: "))
        return None


def _blamed(
    role: str, settings: dict[str, Any], vocabulary: int, special: dict[str, int | None], error: UserError
) -> Key:
    """The setting that is refused in the same words by itself, or the table if they are wrong together."""
    for name, value in settings.items():
        try:
            make_config({"architecture": settings["architecture"], name: value}, vocabulary, special)
        except UserError as alone:
            if str(alone) == str(error):
                return place_of_model(role, "from_scratch", name)
    return place_of_model(role, "from_scratch")


def _vocabulary(recipe: Recipe, tables: Collection[str]) -> tuple[int, dict[str, int | None]]:
    """The most tokens that a model from scratch may have, and the ids of its special ones."""
    source = recipe.tokenizer_source
    if source.train is not None:
        # special tokens have the same ids whatever the texts are
        return source.train.vocab_size, special_ids(train_tokenizer((), vocabulary=0))
    assert source.path is not None
    try:
        tokenizer = (
            load_tokenizer(
                source.path,
                source.revision,
                source.gguf_file,
                trust_remote_code=source.trust_remote_code,
            )
            if source.table in tables
            else None
        )
    except UserError:
        tokenizer = None  # told where tokenizers are checked
    return (_ANY_VOCABULARY, {}) if tokenizer is None else (len(tokenizer), special_ids(tokenizer))


def _can_be_built(role: str, model: ModelConfig, config: PretrainedConfig, problems: Problems) -> bool:
    """Build the model without its weights, as the stages will build it."""
    source = "path" if model.from_scratch is None else "from_scratch"
    try:
        built = _build(config, model.attention, model.trust_remote_code)
    except Exception as error:  # each architecture refuses what it cannot have in its own way
        key = (
            source if model.attention is None or not _builds(config, model.trust_remote_code) else "attention"
        )
        problems.add(place_of_model(role, key), f"{called(role)} cannot be built: {_one_line(error)}")
        return False
    if model.gradient_checkpointing and not built.supports_gradient_checkpointing:
        problems.add(
            place_of_model(role, "gradient_checkpointing"), f"{config.model_type} does not support it"
        )
    if model.lora is not None:
        try:
            with torch.device("meta"):
                add_lora(built, as_peft_s(model.lora), seed=0)
        except UserError as error:
            problems.add(place_of_model(role, "lora", "target_modules"), str(error).removeprefix("lora: "))
    return True


def _build(config: PretrainedConfig, attention: str | None, trust_remote_code: bool = False) -> Any:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(
            config, attn_implementation=attention, trust_remote_code=trust_remote_code
        )


def _builds(config: PretrainedConfig, trust_remote_code: bool) -> bool:
    try:
        _build(config, None, trust_remote_code)
    except Exception:  # as above
        return False
    return True


def _check_weights(role: str, model: ModelConfig, problems: Problems, notices: Problems) -> None:
    assert model.path is not None
    try:
        unused = open_weights(
            model.path, model.revision, model.gguf_file, trust_remote_code=model.trust_remote_code
        )
    except UserError as error:
        problems.add(place_of_model(role, "path"), str(error))
        return
    if unused:
        notices.add(
            place_of_model(role, "path"),
            f"{called(role)}'s configuration has no place for {len(unused)} of its weights, which are not used: "
            f"{unused[0]}, for example",
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
