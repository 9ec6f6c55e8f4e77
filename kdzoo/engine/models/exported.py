"""Models and adapters written for other programs: one type of weights, and nothing in a file of where they came from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from peft.utils import SAFETENSORS_WEIGHTS_NAME, load_peft_weights
from safetensors.torch import save_file
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.tokenization_utils_base import TOKENIZER_CONFIG_FILE
from transformers.utils import CONFIG_NAME, GENERATION_CONFIG_NAME

from kdzoo.engine.models.adapter_folder import CONFIG as ADAPTER_CONFIG
from kdzoo.engine.models.adapter_folder import is_adapter
from kdzoo.engine.models.load_errors import told_as
from kdzoo.engine.models.loading import load_pretrained
from kdzoo.errors import UserError
from kdzoo.files import read_json, write_json

# What transformers writes of how a model is packed, not of what it is.
_PACKING = "quantization_config"
# What it writes of where a model was read here.
_READ_FROM = {"_name_or_path", "_model_name_or_path"}
# What it writes of how a tokenizer was read here.
_LOADING = {"is_local", "local_files_only", "name_or_path"}


def whole_model(folder: Path, dtype: str, *, trust_remote_code: bool = False) -> PreTrainedModel:
    """A trained model in main memory with weights of a type; an adapter is merged into its base in float32 first.

    Raises:
        UserError: it cannot be loaded, its base is quantised, or weights are beyond what the type can hold.
    """
    # of a whole model each weight is rounded once, whichever way it is loaded
    loaded = "float32" if is_adapter(folder) else dtype
    model = load_pretrained(str(folder), None, loaded, trust_remote_code=trust_remote_code)
    if getattr(model.config, _PACKING, None) is not None:
        raise UserError(
            f"{folder}: its base is quantised, and an adapter cannot be merged into that without loss; export the adapter"
        )
    for name, weight in model.named_parameters():
        _check_range(folder, name, weight, dtype)
    return model.to(getattr(torch, dtype))


def save_whole(model: PreTrainedModel, folder: Path) -> None:
    """Write weights as safetensors, configuration and generation configuration."""
    model.save_pretrained(str(folder))
    _forget(folder / CONFIG_NAME, _READ_FROM)


def copy_base(base: Path, folder: Path) -> None:
    """Copy the base that a run made for an adapter."""
    shutil.copytree(base, folder)
    _forget(folder / CONFIG_NAME, _READ_FROM)
    _forget(folder / TOKENIZER_CONFIG_FILE, _LOADING)


def save_adapter(adapter: Path, folder: Path, base: str, revision: str | None, dtype: str | None) -> None:
    """Write an adapter again, on a base of another name, its weights in a type or, without one, as they are.

    Raises:
        UserError: it cannot be read, or weights are beyond what the type can hold.
    """
    with told_as(f"the adapter {adapter} cannot be read"):
        weights = load_peft_weights(str(adapter), device="cpu")
    if dtype is not None:
        for name, weight in weights.items():
            _check_range(adapter, name, weight, dtype)
        weights = {name: weight.to(getattr(torch, dtype)) for name, weight in weights.items()}
    save_file(weights, folder / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})
    config: dict[str, Any] = read_json(adapter / ADAPTER_CONFIG)
    write_json(folder / ADAPTER_CONFIG, {**config, "base_model_name_or_path": base, "revision": revision})
    generation = adapter / GENERATION_CONFIG_NAME
    if generation.is_file():
        write_json(folder / GENERATION_CONFIG_NAME, read_json(generation))


def save_tokenizer(folder: Path, out: Path, *, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """Write the tokenizer of a trained model's folder, with its chat template where it has one, and give it.

    Raises:
        UserError: it cannot be loaded.
    """
    with told_as(f"the tokenizer of {folder} cannot be loaded"):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=trust_remote_code
        )
    tokenizer.save_pretrained(str(out))
    _forget(out / TOKENIZER_CONFIG_FILE, _LOADING)
    return tokenizer


def _forget(file: Path, keys: set[str]) -> None:
    if file.is_file():
        write_json(file, {key: value for key, value in read_json(file).items() if key not in keys})


def _check_range(folder: Path, name: str, weight: torch.Tensor, dtype: str) -> None:
    most = torch.finfo(getattr(torch, dtype)).max
    if weight.is_floating_point() and weight.numel() and bool(weight.abs().max() > most):
        raise UserError(
            f"{folder}: {name} has weights beyond what {dtype} can hold ({most:g}); --dtype bfloat16 or float32 can"
        )
