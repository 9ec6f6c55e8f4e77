"""Cutting a model: a smaller one of some of its layers, to begin a student with."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from kdzoo.errors import UserError


def layers_to_keep(wanted: int | Sequence[int], layers: int) -> list[int]:
    """The numbers of the layers to keep, from 0 and in order: those given, or so many evenly spaced with first and last.

    Raises:
        UserError: the model has not so many layers, or none of that number.
    """
    if not isinstance(wanted, int):
        beyond = [number for number in wanted if not 0 <= number < layers]
        if beyond:
            raise UserError(
                f"keep_layers: there is no layer {beyond[0]}; the model has layers 0 to {layers - 1}"
            )
        return sorted(set(wanted))
    if wanted > layers:
        raise UserError(f"keep_layers: {wanted} layers cannot be kept; the model has {layers}")
    if wanted == 1:
        return [0]
    return [round(number * (layers - 1) / (wanted - 1)) for number in range(wanted)]


def cut_config(config: PretrainedConfig, wanted: int | Sequence[int]) -> PretrainedConfig:
    """The configuration of a model with fewer layers; lists that have an entry for each layer are cut too.

    Raises:
        UserError: the layers are not there, or the architecture has no plain number of layers.
    """
    text = config.get_text_config()
    name = name_of_count(text)
    layers = getattr(text, name, None)
    if text is not config or not isinstance(layers, int):
        raise UserError(
            f"keep_layers: a {config.model_type} model has no plain stack of layers that could be cut"
        )
    kept = layers_to_keep(wanted, layers)
    cut = copy.deepcopy(config)
    for key, value in vars(config).items():
        if has_one_for_each(value, layers):
            setattr(cut, key, type(value)(value[number] for number in kept))
    setattr(cut, name, len(kept))
    return cut


def name_of_count(config: PretrainedConfig) -> str:
    """How a configuration itself calls its number of layers."""
    return str(config.attribute_map.get("num_hidden_layers", "num_hidden_layers"))


def has_one_for_each(value: Any, layers: int) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether a setting is a list with an entry for each layer."""
    return isinstance(value, list | tuple) and len(value) == layers


def cut(
    model: PreTrainedModel, wanted: int | Sequence[int], *, trust_remote_code: bool = False
) -> PreTrainedModel:
    """A model of the same weights with some layers only. Everything else, and what a layer knows of its place, is new.

    ``trust_remote_code`` is what the model was loaded with.

    Raises:
        UserError: the layers are not there, or cannot be told apart.
    """
    smaller = cut_config(model.config, wanted)
    stack, layers = stack_of_layers(model)
    kept = layers_to_keep(wanted, layers)
    place = {f"{stack}.{old}.": f"{stack}.{new}." for new, old in enumerate(kept)}
    weights = {}
    for name, value in model.state_dict().items():
        if not name.startswith(f"{stack}."):
            weights[name] = value
            continue
        number = name.removeprefix(f"{stack}.").partition(".")[0]
        new = place.get(f"{stack}.{number}.")
        if new is not None:
            weights[new + name.removeprefix(f"{stack}.{number}.")] = value
    with torch.random.fork_rng(devices=[]):
        built = AutoModelForCausalLM.from_config(
            smaller,
            dtype=model.dtype,
            attn_implementation=model.config._attn_implementation,
            trust_remote_code=trust_remote_code,
        )
    built.load_state_dict(weights)
    built.generation_config = model.generation_config
    assert isinstance(built, PreTrainedModel)
    return built


def stack_of_layers(model: PreTrainedModel) -> tuple[str, int]:
    """The name of the list of decoder layers, and its length."""
    layers = model.config.get_text_config().num_hidden_layers
    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == layers and name.count(".") <= 1
    ]
    if len(found) != 1:
        raise UserError(
            f"keep_layers: the layers of a {model.config.model_type} model cannot be told apart from its other parts"
        )
    return found[0], layers
