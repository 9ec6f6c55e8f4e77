"""Where a loaded model's weights lie, and in how many bits: whole on one device, over several, or quantised."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig


@dataclass(frozen=True)
class Placement:
    """How the weights of a model are put on devices while they are loaded.

    ``device_map`` "auto": over the GPUs there are, what does not fit in main memory (accelerate). ``quantization`` "4bit"
    or "8bit": linear layers are kept in so many bits (bitsandbytes), computed in the model's dtype. With neither, the
    model is loaded into main memory, and whoever uses it moves it.
    """

    device_map: str | None = None
    quantization: str | None = None

    def arguments(self, dtype: torch.dtype) -> dict[str, Any]:
        """What transformers' ``from_pretrained`` takes for it."""
        given: dict[str, Any] = {} if self.device_map is None else {"device_map": self.device_map}
        if self.quantization == "4bit":
            # NormalFloat in blocks whose scales are quantised too, as QLoRA (Dettmers et al. 2023)
            given["quantization_config"] = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=dtype,
            )
        elif self.quantization == "8bit":
            given["quantization_config"] = BitsAndBytesConfig(load_in_8bit=True)
        return given


def is_placed(model: nn.Module) -> bool:
    """Whether a model's weights were put where they belong while it was loaded, so that it must not be moved."""
    return getattr(model, "hf_device_map", None) is not None or bool(getattr(model, "is_quantized", False))


def why_not_quantised() -> str | None:
    """What this machine lacks for quantised weights; None if it lacks nothing."""
    if find_spec("bitsandbytes") is None:
        return "needs the package bitsandbytes: pip install bitsandbytes"
    if not torch.cuda.is_available():
        return "needs a GPU, and this machine has none"
    return None
