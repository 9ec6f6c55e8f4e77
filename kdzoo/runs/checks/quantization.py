"""Weights in few bits before a run: what keeps them is installed, and nothing is asked of them that they cannot do."""

from __future__ import annotations

import os
from pathlib import Path

from transformers import PretrainedConfig

from kdzoo.engine.models.adapter_folder import is_adapter
from kdzoo.engine.models.placement import why_not_quantised
from kdzoo.recipe import ModelConfig
from kdzoo.recipe.names import called
from kdzoo.recipe.places import place_of_model
from kdzoo.recipe.problems import Problems


def check_quantization(role: str, model: ModelConfig, problems: Problems) -> None:
    """Note what stands against a model's weights in few bits, if its table asks for them."""
    if model.quantization is None:
        return
    at = place_of_model(role, "quantization")
    lacking = why_not_quantised(model.quantization)
    if lacking is not None:
        problems.add(at, f"{lacking}; --rehearse runs the recipe without it")
    if model.path is not None and is_adapter(Path(model.path)):
        problems.add(
            at,
            f"{called(role)} is an adapter, which is merged into its base, and weights in few bits cannot take it in; save "
            "the merged model and give its folder",
            place_of_model(role, "path"),
        )
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("1", "true"):
        problems.add(at, "weights in few bits cannot be sharded (FSDP); launch without it, or leave this out")


def check_not_quantized_yet(
    role: str, model: ModelConfig, config: PretrainedConfig, problems: Problems
) -> None:
    """Note a model that is to be quantised and has been: its own configuration says in how many bits its weights are."""
    if model.quantization is not None and getattr(config, "quantization_config", None) is not None:
        problems.add(
            place_of_model(role, "quantization"),
            f"{called(role)}'s weights are in few bits as they are; leave this out",
        )
