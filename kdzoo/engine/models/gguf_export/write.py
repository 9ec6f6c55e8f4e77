"""Writes a model with its tokenizer as one GGUF file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from gguf import MODEL_ARCH_NAMES, GGMLQuantizationType, GGUFWriter, LlamaFileType
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kdzoo.engine.models.gguf_export.architecture import add_numbers, architecture_of, named_tensors
from kdzoo.engine.models.gguf_export.tokenizer import add_tokenizer

_TYPES = {
    torch.float32: (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    torch.float16: (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    torch.bfloat16: (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
}


@dataclass(frozen=True)
class About:
    """What a file says of itself: a name, and a licence where it is known."""

    name: str
    licence: str | None = None


def write_gguf(
    file: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, about: About
) -> list[str]:
    """Write a model of one type of weights; vectors, as norms are, become float32, which llama.cpp computes them in.

    Gives what is to be known of the file.

    Raises:
        UserError: its architecture or its tokenizer cannot be written.
        OSError: the file cannot be.
    """
    config = model.config
    architecture = architecture_of(config)
    writer = GGUFWriter(file, MODEL_ARCH_NAMES[architecture])
    writer.add_type("model")
    writer.add_name(about.name)
    if about.licence is not None:
        writer.add_license(about.licence)
    writer.add_file_type(_TYPES[model.dtype][1])
    add_numbers(writer, config)
    notes = add_tokenizer(writer, tokenizer, config.vocab_size, _ends(model))
    weights = {
        name: weight if weight.dim() > 1 else weight.to(torch.float32)
        for name, weight in named_tensors(model.state_dict(), config, architecture).items()
    }
    for name, weight in weights.items():
        # of each tensor its size first: none is copied before its turn to be written
        numbers = _TYPES[weight.dtype][0]
        writer.add_tensor_info(name, weight.shape, np.dtype(np.int16), weight.nbytes, raw_dtype=numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for weight in weights.values():
        writer.write_tensor_data(_as_numpy(weight))
    writer.close()
    return notes


def _as_numpy(weight: Tensor) -> npt.NDArray[np.generic]:
    plain = weight.detach().contiguous().cpu()
    array: npt.NDArray[np.generic] = (
        plain.view(torch.int16) if plain.dtype == torch.bfloat16 else plain
    ).numpy()
    return array


def _ends(model: PreTrainedModel) -> tuple[int, ...]:
    named = None if model.generation_config is None else model.generation_config.eos_token_id
    return () if named is None else tuple(named) if isinstance(named, list) else (named,)
