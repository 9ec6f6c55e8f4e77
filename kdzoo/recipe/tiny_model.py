"""A rehearsal's stand-in for a model: random weights, and the same architecture, with little of everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kdzoo.recipe.model_tables import LoraConfig, ModelConfig

# What a model's name is searched for, in this order; anything else is taken for a LLaMA.
_FAMILIES = {
    "codegen": "codegen",
    "qwen1.5": "qwen2",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma-2-": "gemma2",
    "gemma": "gemma",
    "mistral": "mistral",
    "starcoder2": "starcoder2",
    "pythia": "gpt_neox",
    "neox": "gpt_neox",
    "gpt-j": "gptj",
    "gpt2": "gpt2",
    "llama": "llama",
    "vicuna": "llama",
}
_LAYERS = "num_hidden_layers"
_NEEDED = ("hidden_size", _LAYERS, "num_attention_heads")
_ATTENTION = {"full_attention", "sliding_attention", "chunked_attention"}


def tiny_model(config: ModelConfig, width: int) -> ModelConfig:
    """A model from scratch of two layers that are ``width`` wide.

    One from scratch whose architecture has other sizes than the usual ones only has fewer layers, and for any other
    such model a LLaMA stands in.
    """
    lora = config.lora
    if lora is not None:
        lora = LoraConfig(**{**lora.model_dump(), "rank": min(lora.rank, 4)})
    family = _family(config)
    sizes = _usual_sizes(family, width)
    if sizes is not None:
        architecture = {"architecture": family, **sizes}
    elif config.from_scratch is not None:
        architecture = _with_fewer_layers(config.from_scratch)
    else:
        architecture = {"architecture": "llama", **(_usual_sizes("llama", width) or {})}
    return ModelConfig(
        from_scratch=architecture,
        lora=lora,
        # needs a GPU, as device_map and quantization do, and no rehearsal does
        attention=None if config.attention == "flash_attention_2" else config.attention,
        gradient_checkpointing=config.gradient_checkpointing,
    )


def _family(config: ModelConfig) -> str:
    if config.from_scratch is not None:
        return str(config.from_scratch["architecture"])
    assert config.path is not None  # a model has one or the other
    try:
        return str(json.loads((Path(config.path) / "config.json").read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError):
        name = config.path.lower()
        return next((family for part, family in _FAMILIES.items() if part in name), "llama")


def _usual_sizes(family: str, width: int) -> dict[str, Any] | None:
    """Small sizes by the names that an architecture gives them; None if others than the usual ones decide on it."""
    known = _default_config(family)
    if known is None:
        return None
    settings = known.to_dict()
    usual = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        _LAYERS: 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": width // 4,
        "max_position_embeddings": 1024,
        "rotary_dim": 4,
    }
    sizes = {_name_in(known, name): size for name, size in usual.items() if _name_in(known, name) in settings}
    has_other_layers = not _ATTENTION.issuperset(getattr(known, "layer_types", None) or ())
    is_latent_attention = "kv_lora_rank" in settings
    if (
        not {_name_in(known, name) for name in _NEEDED} <= sizes.keys()
        or has_other_layers
        or is_latent_attention
        or known.is_encoder_decoder
    ):
        return None
    try:
        type(known)(**sizes)
    except Exception:  # each family's config class checks its settings in its own way
        return None
    return sizes


def _with_fewer_layers(settings: dict[str, Any]) -> dict[str, Any]:
    known = _default_config(settings["architecture"])
    layers = _LAYERS if known is None else _name_in(known, _LAYERS)
    return {k: min(v, 2) if k == layers and isinstance(v, int) else v for k, v in settings.items()}


def _name_in(config: Any, name: str) -> str:
    return str(config.attribute_map.get(name, name))


def _default_config(family: str) -> Any:
    # recipes are read without transformers, which takes seconds to import
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    try:
        return CONFIG_MAPPING[family]()
    except Exception:  # there is no such family, or it cannot be had with defaults alone
        return None
