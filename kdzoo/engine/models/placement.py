"""Where a loaded model's weights lie, and in how many bits: whole on one device, over several, or quantised."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import torch
from torch import nn
from transformers import BitsAndBytesConfig, TorchAoConfig
from transformers.utils import is_bitsandbytes_available, is_torchao_available
from transformers.utils.import_utils import BITSANDBYTES_MIN_VERSION, TORCHAO_MIN_VERSION

Quantiser = Literal["bitsandbytes", "torchao"]


@dataclass(frozen=True)
class Placement:
    """How the weights of a model are put on devices while they are loaded.

    ``device_map`` "auto": over the GPUs there are, what does not fit in main memory (accelerate). ``quantization`` "4bit"
    or "8bit": linear layers but the head are kept in so many bits (`quantiser_of`), computed in the model's dtype. With
    neither, the model is loaded into main memory, and whoever uses it moves it.
    """

    device_map: str | None = None
    quantization: str | None = None

    def arguments(self, dtype: torch.dtype) -> dict[str, Any]:
        """What transformers' ``from_pretrained`` takes for it."""
        given: dict[str, Any] = {} if self.device_map is None else {"device_map": self.device_map}
        if self.quantization is None:
            return given
        if quantiser_of(self.quantization) == "torchao":
            to_8_bits = import_module("torchao.quantization").Int8WeightOnlyConfig()
            given["quantization_config"] = TorchAoConfig(to_8_bits)
            if self.device_map is None and torch.cuda.is_available():
                # bitsandbytes puts a model there by itself
                given["device_map"] = {"": torch.cuda.current_device()}
        elif self.quantization == "4bit":
            # NormalFloat in blocks whose scales are quantised too, as QLoRA (Dettmers et al. 2023)
            given["quantization_config"] = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=dtype,
            )
        else:
            # with its usual threshold, which columns it takes for outliers depends on all rows and tokens of a batch
            given["quantization_config"] = BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=0.0)
        return given


def is_placed(model: nn.Module) -> bool:
    """Whether a model's weights were put where they belong while it was loaded, so that it must not be moved."""
    return getattr(model, "hf_device_map", None) is not None or is_quantised(model)


def is_quantised(model: nn.Module) -> bool:
    """Whether a model was loaded with weights in few bits."""
    return bool(getattr(model, "is_quantized", False))


def quantiser_of(bits: str) -> Quantiser | None:
    """The package that keeps weights in so many bits ("4bit", "8bit"), of those that are installed.

    For 8 bits it is torchao, which rounds the weights alone, before bitsandbytes, which rounds what they are multiplied
    by as well. torchao's formats of 4 bits are each for some devices and types of numbers only.
    """
    if bits == "8bit" and is_torchao_available():
        return "torchao"
    return "bitsandbytes" if is_bitsandbytes_available() else None


def why_not_quantised(bits: str) -> str | None:
    """What this machine lacks for weights in so many bits; None if it lacks nothing."""
    if quantiser_of(bits) is not None:
        return None
    needed = f"bitsandbytes ({BITSANDBYTES_MIN_VERSION} or later)"
    if bits == "8bit":
        return f"needs the package torchao ({TORCHAO_MIN_VERSION} or later) or {needed}: pip install torchao"
    return f"needs the package {needed}: pip install bitsandbytes"
