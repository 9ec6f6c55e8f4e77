"""Models in GGUF files, which transformers unpacks with the package ``gguf``."""

from __future__ import annotations

from importlib.util import find_spec

from transformers import PreTrainedModel

from kdzoo.errors import UserError


def in_gguf(file: str | None) -> dict[str, str]:
    """What to tell transformers' loading functions of a file, if one is named.

    Raises:
        UserError: the package that reads such files is not installed.
    """
    if file is None:
        return {}
    if find_spec("gguf") is None:
        raise UserError("reading a GGUF file needs the package gguf: pip install 'kdzoo[gguf]'")
    return {"gguf_file": file}


def forget_packing(model: PreTrainedModel) -> None:
    """Let a model that was unpacked be trained and saved as any other."""
    for owner, note in ((model.config, "quantization_config"), (model, "hf_quantizer")):
        if hasattr(owner, note):
            delattr(owner, note)
    model.is_quantized = False
